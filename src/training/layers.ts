import type { Node } from '../onnx/types.ts';
import type { Parameter } from './import/import-graph.ts';
import type { ShapedGraph } from './shaped-graph.ts';

/** A weight with the place of its layer. */
export interface PlacedParameter {
  parameter: Parameter;
  /**
   * From 0, the layer nearest to the picture: how many layers lie between it and the picture, on the longest way. Layers
   * side by side (query, key and value) are one; what stands between two (norms, positions) counts to the first.
   */
  layer: number;
  /** Is it the matrix or kernel of its layer? Only these decay. */
  isKernel: boolean;
}

/** Operators whose second input is the matrix or kernel that makes them a layer. */
const LAYER_OPERATORS = new Set(['Conv', 'ConvTranspose', 'MatMul', 'Gemm']);

/** The parameters of a graph in the order in which it reads them, each with its layer; and how many layers there are. */
export function placeParameters(
  g: ShapedGraph,
  parameters: readonly Parameter[],
): { placed: PlacedParameter[]; layers: number } {
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  const placed: PlacedParameter[] = [];
  /** Layers behind each value. */
  const behind = new Map<string, number>();
  let layers = 0;
  for (const node of g.ordered()) {
    const kernel = kernelOf(node, byName);
    const before = Math.max(0, ...node.inputs.map((name) => behind.get(name) ?? 0));
    const after = kernel === undefined ? before : before + 1;
    for (const output of node.outputs) behind.set(output, after);
    layers = Math.max(layers, after);
    for (const input of node.inputs) {
      const parameter = byName.get(input);
      if (parameter === undefined) continue;
      placed.push({ parameter, layer: Math.max(0, after - 1), isKernel: parameter === kernel });
    }
  }
  return { placed, layers };
}

function kernelOf(node: Node, parameters: ReadonlyMap<string, Parameter>): Parameter | undefined {
  if (!LAYER_OPERATORS.has(node.opType)) return undefined;
  // A product may have its weight on either side.
  const candidates = node.opType === 'MatMul' ? node.inputs : node.inputs.slice(1, 2);
  return candidates.map((name) => parameters.get(name)).find((found) => found !== undefined);
}
