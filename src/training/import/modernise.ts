import { attributesOf, float, type AttributeInput } from '../../onnx/build.ts';
import { floatOf, intOf, intsOf } from '../../onnx/read-attribute.ts';
import type { Node } from '../../onnx/types.ts';
import { axisOf, lengthAt, sizeOf } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';

/** Rewrites a node as the training graphs' operator set has it; may add constants and nodes in front of it. */
type Upgrade = (node: Node, g: ShapedGraph) => Node;

/** What an operator set changed: nodes of older files are rewritten by the function. */
interface Change {
  until: number;
  upgrade: Upgrade;
}

/** Attributes that became inputs: the axes of reductions, and others. */
const axesAsInput: Upgrade = (node, g) => {
  const axes = intsOf(node, 'axes');
  const rest = without(node, 'axes');
  return axes === undefined ? rest : { ...rest, inputs: [node.inputs[0] ?? '', g.ints(axes)] };
};

const splitAsInput: Upgrade = (node, g) => {
  const axis = axisOf(intOf(node, 'axis') ?? 0, g.dims(node.inputs[0] ?? '').length);
  if ((node.inputs[1] ?? '') !== '') return without(node, 'num_outputs');
  const length = lengthAt(g.dims(node.inputs[0] ?? ''), axis);
  // In equal parts; the last one is smaller where they don't come out even.
  const part = Math.ceil(length / node.outputs.length);
  const equal = node.outputs.map((_, i) => Math.min(part, length - i * part));
  const lengths = intsOf(node, 'split') ?? equal;
  return { ...without(node, 'split', 'num_outputs'), inputs: [node.inputs[0] ?? '', g.ints(lengths)] };
};

const padsAsInput: Upgrade = (node, g) => {
  const pads = g.ints(intsOf(node, 'pads') ?? []);
  const value = g.scalar(floatOf(node, 'value') ?? 0, g.type(node.inputs[0] ?? ''));
  return { ...without(node, 'pads', 'value'), inputs: [node.inputs[0] ?? '', pads, value] };
};

const sliceAsInput: Upgrade = (node, g) => {
  const starts = intsOf(node, 'starts') ?? [];
  const axes = intsOf(node, 'axes') ?? starts.map((_, i) => i);
  const lists = [starts, intsOf(node, 'ends') ?? [], axes].map((list) => g.ints(list));
  return { ...without(node, 'starts', 'ends', 'axes'), inputs: [node.inputs[0] ?? '', ...lists] };
};

const clipAsInput: Upgrade = (node, g) => {
  const bound = (name: string): string => {
    const value = floatOf(node, name);
    return value === undefined ? '' : g.scalar(value, g.type(node.inputs[0] ?? ''));
  };
  return { ...without(node, 'min', 'max'), inputs: [node.inputs[0] ?? '', bound('min'), bound('max')] };
};

/** Before 13 all axes from `axis` on counted as one. */
const softmaxOfRows: Upgrade = (node, g) => {
  const x = node.inputs[0] ?? '';
  const dims = g.dims(x);
  const axis = axisOf(intOf(node, 'axis') ?? 1, dims.length);
  if (axis === dims.length - 1) return { ...node, attributes: attributesOf({ axis }) };
  const rows = g.reshape(x, [sizeOf(dims.slice(0, axis)), sizeOf(dims.slice(axis))]);
  const result = node.opType === 'Softmax' ? g.softmax(rows) : g.logSoftmax(rows);
  return { ...node, opType: 'Reshape', inputs: [result, g.ints(dims)], attributes: [] };
};

/** At inference nothing is dropped. */
const dropoutAsIdentity: Upgrade = (node) => ({
  ...node,
  opType: 'Identity',
  inputs: node.inputs.slice(0, 1),
  outputs: node.outputs.slice(0, 1),
  attributes: [],
});

const resizeWithRegion: Upgrade = (node) => {
  const [x = '', scales = ''] = node.inputs;
  return withAttribute(
    { ...node, inputs: [x, '', scales] },
    { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
  );
};

/** x·max(0, min(1, x/6 + 1/2)) where a file says it with the operator's older default. */
const hardSigmoidSaid: Upgrade = (node) =>
  withAttribute(node, {
    alpha: float(floatOf(node, 'alpha') ?? 0.2),
    beta: float(floatOf(node, 'beta') ?? 0.5),
  });

const REDUCTIONS = [
  'ReduceMean',
  'ReduceMax',
  'ReduceMin',
  'ReduceL1',
  'ReduceL2',
  'ReduceSumSquare',
  'ReduceProd',
];

const ALWAYS = Number.MAX_SAFE_INTEGER;
const CHANGES: ReadonlyMap<string, Change> = new Map<string, Change>([
  ...REDUCTIONS.map((name) => [name, { until: 17, upgrade: axesAsInput }] as const),
  ['ReduceSum', { until: 12, upgrade: axesAsInput }],
  ['Squeeze', { until: 12, upgrade: axesAsInput }],
  ['Unsqueeze', { until: 12, upgrade: axesAsInput }],
  ['Split', { until: ALWAYS, upgrade: splitAsInput }],
  ['Pad', { until: 10, upgrade: padsAsInput }],
  ['Slice', { until: 9, upgrade: sliceAsInput }],
  ['Clip', { until: 10, upgrade: clipAsInput }],
  ['Softmax', { until: 12, upgrade: softmaxOfRows }],
  ['LogSoftmax', { until: 12, upgrade: softmaxOfRows }],
  ['Dropout', { until: ALWAYS, upgrade: dropoutAsIdentity }],
  ['Resize', { until: 10, upgrade: resizeWithRegion }],
  ['HardSigmoid', { until: ALWAYS, upgrade: hardSigmoidSaid }],
]);

/** The node as the training graphs' operator set has it, for a file written for `opset`. */
export function modernised(node: Node, opset: number, g: ShapedGraph): Node {
  const change = CHANGES.get(node.opType);
  return change === undefined || opset > change.until ? node : change.upgrade(node, g);
}

function without(node: Node, ...names: string[]): Node {
  return { ...node, attributes: node.attributes.filter(({ name }) => !names.includes(name)) };
}

function withAttribute(node: Node, values: Readonly<Record<string, AttributeInput>>): Node {
  const rest = without(node, ...Object.keys(values));
  return { ...rest, attributes: [...rest.attributes, ...attributesOf(values)] };
}
