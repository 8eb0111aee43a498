import { attributeOf } from '../../onnx/read-attribute.ts';
import { tensorOf } from '../../onnx/build.ts';
import { DATA_TYPE, type Graph, type Node, type OnnxModel, type Tensor } from '../../onnx/types.ts';
import { sizeOf } from '../dims.ts';

/**
 * The model with every weight an initializer of its own: constants become initializers, an Identity that gives a second
 * name to a weight becomes a copy under that name, and a weight that is read in several places is copied for each
 * (`name~2`, `name~3`; the first place keeps the name). Exporters merge weights of equal values, as fresh norms have;
 * trained, they would be pulled in several directions. What takes a weight apart, as slices of a position embedding, reads
 * one weight. The result computes the same; values are shared, not copied.
 * Import and export both start from here, so that a name means the same weight in both.
 */
export function prepareModel(model: OnnxModel): OnnxModel {
  return { ...model, graph: untie(unaliased(withoutConstants(model.graph))) };
}

/** Is it a weight rather than a number in the formula: float32 and more than one value? */
export function isWeight(tensor: Tensor): boolean {
  return tensor.dataType === DATA_TYPE.float32 && sizeOf(tensor.dims) > 1;
}

/** Operators that read a whole weight as a layer's own. */
const LAYERS = new Set([
  'Add',
  'BatchNormalization',
  'Conv',
  'ConvTranspose',
  'Div',
  'Gemm',
  'InstanceNormalization',
  'LayerNormalization',
  'MatMul',
  'Mul',
  'PRelu',
  'Sub',
]);

function withoutConstants(graph: Graph): Graph {
  const made = graph.nodes.flatMap((node) => {
    const tensor = constantOf(node);
    return tensor === undefined ? [] : [{ node, tensor }];
  });
  const gone = new Set(made.map(({ node }) => node));
  return {
    ...graph,
    nodes: graph.nodes.filter((node) => !gone.has(node)),
    initializers: [...graph.initializers, ...made.map(({ tensor }) => tensor)],
  };
}

/** The tensor that a Constant node gives; undefined for other nodes and for constants that are no numbers. */
function constantOf(node: Node): Tensor | undefined {
  const [name] = node.outputs;
  if (node.opType !== 'Constant' || name === undefined) return undefined;
  const tensor = attributeOf(node, 'value', 'tensor')?.value;
  if (tensor !== undefined) return { ...tensor, name };
  const float = attributeOf(node, 'value_float', 'float')?.value;
  if (float !== undefined) return tensorOf(Float32Array.of(float), [], name);
  const int = attributeOf(node, 'value_int', 'int')?.value;
  if (int !== undefined) return tensorOf(BigInt64Array.of(int), [], name);
  const list = attributeOf(node, 'value_floats', 'floats') ?? attributeOf(node, 'value_ints', 'ints');
  return list === undefined ? undefined : tensorOf(list.value, [list.value.length], name);
}

/** Identity nodes of weights, also of other such identities, become weights. */
function unaliased(graph: Graph): Graph {
  const weights = new Map(graph.initializers.map((tensor) => [tensor.name ?? '', tensor]));
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const nodes = graph.nodes.filter((node) => {
    const [name = ''] = node.outputs;
    const tensor = weights.get(node.inputs[0] ?? '');
    if (node.opType !== 'Identity' || tensor === undefined || outputs.has(name)) return true;
    weights.set(name, { ...tensor, name });
    return false;
  });
  return { ...graph, nodes, initializers: [...weights.values()] };
}

function untie(graph: Graph): Graph {
  const weights = new Map(graph.initializers.filter(isWeight).map((tensor) => [tensor.name ?? '', tensor]));
  const places = new Map<string, number>();
  const copies: Tensor[] = [];
  const nodes = graph.nodes.map((node) => {
    if (!LAYERS.has(node.opType)) return node;
    const inputs = node.inputs.map((name) => {
      const tensor = weights.get(name);
      if (tensor === undefined) return name;
      const place = (places.get(name) ?? 0) + 1;
      places.set(name, place);
      if (place === 1) return name;
      const copy = `${name}~${String(place)}`;
      copies.push({ ...tensor, name: copy });
      return copy;
    });
    return { ...node, inputs };
  });
  return { ...graph, nodes, initializers: [...graph.initializers, ...copies] };
}
