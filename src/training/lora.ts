import { intOf } from '../onnx/read-attribute.ts';
import type { Node } from '../onnx/types.ts';
import { sizeOf } from './dims.ts';
import type { Parameter } from './import/import-graph.ts';
import { normal, randomStream } from './random.ts';
import type { ShapedGraph } from './shaped-graph.ts';
import type { TrainedParameter } from './state-plan.ts';

/** A linear layer y = x · W with a low-rank update beside it: y + scale · (x · A) · B. */
export interface LoraLayer {
  /** The frozen weight's name. */
  weight: string;
  /** Is it `[columns, rows]`, as Gemm's transB has it? */
  transposed: boolean;
  rows: number;
  columns: number;
  /** Names of A `[rows, rank]` and B `[rank, columns]`. */
  a: string;
  b: string;
  rank: number;
  /** alpha / rank. */
  scale: number;
}

/** Tells the random numbers of the layers from others of the same seed. */
const STREAM = 0x10aa;

/** The linear layers of a graph whose weights are among these parameters. */
export function findLoraLayers(
  g: ShapedGraph,
  parameters: readonly Parameter[],
  { rank, alpha }: { rank: number; alpha: number },
): { layer: LoraLayer; node: Node }[] {
  const names = new Set(parameters.map(({ name }) => name));
  return g.ordered().flatMap((node) => {
    const [, weight = ''] = node.inputs;
    if (!isLinear(node) || !names.has(weight) || g.dims(weight).length !== 2) return [];
    const transposed = intOf(node, 'transB') === 1;
    const [first = 0, second = 0] = g.dims(weight);
    const [rows, columns] = transposed ? [second, first] : [first, second];
    const layer = {
      weight,
      transposed,
      rows,
      columns,
      a: `lora/${weight}/a`,
      b: `lora/${weight}/b`,
      rank,
      scale: alpha / rank,
    };
    return [{ layer, node }];
  });
}

function isLinear(node: Node): boolean {
  if (node.opType === 'MatMul') return true;
  return node.opType === 'Gemm' && intOf(node, 'transA') !== 1;
}

/** A is random and B zero, so that the model begins as it was (Hu et al., 2021). */
export function loraParameters(layers: readonly LoraLayer[], seed: number): TrainedParameter[] {
  return layers.flatMap(({ a, b, rows, columns, rank }, i) => {
    const values = (): Float32Array => {
      const random = randomStream(seed, STREAM, i);
      return Float32Array.from({ length: rows * rank }, () => normal(random) / Math.sqrt(rows));
    };
    return [
      { name: a, dims: [rows, rank], decays: true, rate: 1, values },
      {
        name: b,
        dims: [rank, columns],
        decays: true,
        rate: 1,
        values: () => new Float32Array(rank * columns),
      },
    ];
  });
}

/**
 * Lets what read the layer's output read it with the update; A and B must be in the graph. The update is added within
 * the second product, and scaled where it is narrow: passes over whole activations are what a CPU waits for.
 */
export function addLora(g: ShapedGraph, { layer, node }: { layer: LoraLayer; node: Node }): void {
  const [x = ''] = node.inputs;
  const [y = ''] = node.outputs;
  const { rows, columns, a, b, scale } = layer;
  const count = sizeOf(g.dims(x)) / rows;
  const narrow = g.mul(g.matmul(g.reshape(x, [count, rows]), a), scale);
  const flat: Node = nodeOf('Reshape', [y, g.ints([count, columns])], `${y}+flat`);
  g.insert(flat, [{ type: g.type(y), dims: [count, columns] }]);
  const sum = g.node('Gemm', [narrow, b, `${y}+flat`], { dims: [count, columns] });
  g.redirect(y, g.reshape(sum, g.dims(y)), new Set([flat]));
}

function nodeOf(opType: string, inputs: string[], output: string): Node {
  return { opType, name: output, inputs, outputs: [output], attributes: [], metadata: [] };
}

/** Adds scale · A · B to the weight, in its own order; in float64, rounded once. */
export function mergeLora(
  layer: LoraLayer,
  { weight, a, b }: { weight: Float32Array; a: Float32Array; b: Float32Array },
): Float32Array {
  const { rows, columns, rank, scale, transposed } = layer;
  const merged = weight.slice();
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += (a[row * rank + k] ?? 0) * (b[k * columns + column] ?? 0);
      const at = transposed ? column * rows + row : row * columns + column;
      merged[at] = (weight[at] ?? 0) + scale * sum;
    }
  }
  return merged;
}
