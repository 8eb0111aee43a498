import { intOf, textOf } from '../../onnx/read-attribute.ts';
import { intValues } from '../../onnx/tensor-values.ts';
import { axisOf, inversePermutation, lengthAt, misfit, range, sizeOf, withLength } from '../dims.ts';
import { constantInts, optionalInts, type Gradient, type Rule, type RuleCall } from '../rule.ts';
import type { ShapedGraph } from '../shaped-graph.ts';

const slice: Rule = (call) => {
  const { g, dy, input } = call;
  const dims = g.dims(input(0));
  const starts = constantInts(call, 1);
  const axes = optionalInts(call, 3, range(starts.length));
  const steps = optionalInts(
    call,
    4,
    starts.map(() => 1),
  );
  const cut = axes.filter((axis) => lengthAt(g.dims(dy), axis) !== lengthAt(dims, axis));
  const [only] = cut;
  if (only !== undefined && cut.length === 1 && steps.every((step) => step === 1)) {
    const start = firstIndex(starts[axes.indexOf(only)] ?? 0, 1, lengthAt(dims, only));
    return [{ value: dy, axis: axisOf(only, dims.length), start }];
  }
  return [
    axes.reduce((gradient, axis, i) => {
      const length = lengthAt(dims, axis);
      const start = firstIndex(starts[i] ?? 0, steps[i] ?? 1, length);
      return spread(g, gradient, { axis: axisOf(axis, dims.length), start, step: steps[i] ?? 1, length });
    }, dy),
  ];
};

/** As ONNX counts: from the end where negative, and never outside. */
function firstIndex(start: number, step: number, length: number): number {
  const counted = start < 0 ? start + length : start;
  return step > 0 ? Math.min(Math.max(counted, 0), length) : Math.min(Math.max(counted, 0), length - 1);
}

interface Spread {
  axis: number;
  start: number;
  step: number;
  /** Of the axis before it was sliced. */
  length: number;
}

/** Puts what was taken from an axis back to where it was, with zeros between. */
function spread(g: ShapedGraph, taken: string, { axis, start, step, length }: Spread): string {
  const count = lengthAt(g.dims(taken), axis);
  if (step < 0) {
    const last = start + (count - 1) * step;
    return spread(g, reverse(g, taken, axis), { axis, start: last, step: -step, length });
  }
  const apart = step === 1 ? taken : interleave(g, taken, axis, step);
  const end = start + (count - 1) * step + 1;
  const used = g.slice(apart, { axis, start: 0, end: end - start });
  const along = (by: number): number[] => g.dims(taken).map((_, i) => (i === axis ? by : 0));
  return g.pad(used, along(start), along(length - end));
}

function reverse(g: ShapedGraph, x: string, axis: number): string {
  const count = lengthAt(g.dims(x), axis);
  const where = [[count - 1], [-count - 1], [axis], [-1]].map((list) => g.ints(list));
  return g.node('Slice', [x, ...where], { dims: g.dims(x) });
}

/** `step − 1` zeros behind each element along an axis. */
function interleave(g: ShapedGraph, x: string, axis: number, step: number): string {
  const dims = g.dims(x);
  const column = [...dims.slice(0, axis + 1), 1, ...dims.slice(axis + 1)];
  const padded = g.pad(
    g.reshape(x, column),
    column.map(() => 0),
    column.map((_, i) => (i === axis + 1 ? step - 1 : 0)),
  );
  return g.reshape(padded, withLength(dims, axis, lengthAt(dims, axis) * step));
}

const gather: Rule = (call) => {
  const { g, node, dy, input } = call;
  const dims = g.dims(input(0));
  const axis = axisOf(intOf(node, 'axis') ?? 0, dims.length);
  const length = lengthAt(dims, axis);
  const flat = [...dims.slice(0, axis), sizeOf(g.dims(input(1))), ...dims.slice(axis + 1)];
  const taken = g.reshape(dy, flat);
  const tensor = g.tensor(input(1));
  if (tensor === undefined) return [scatterRows(g, taken, input(1), { axis, length })];
  const indices = intValues(tensor).map((index) => (index < 0 ? index + length : index));
  return [
    gatherBack(g, taken, indices, { axis, length }) ?? scatterRows(g, taken, input(1), { axis, length }),
  ];
};

interface Rows {
  axis: number;
  /** Of the axis before it was gathered. */
  length: number;
}

/** Cheap ways back for known indices: a run of them is a part, a permutation turned round. */
function gatherBack(
  g: ShapedGraph,
  taken: string,
  indices: readonly number[],
  { axis, length }: Rows,
): Gradient | undefined {
  const start = indices[0] ?? 0;
  if (indices.every((index, i) => index === start + i)) return { value: taken, axis, start };
  if (indices.length !== length || new Set(indices).size !== length) return undefined;
  return g.gather(taken, g.ints(inversePermutation(indices)), axis);
}

/**
 * Rows that were taken more than once are summed, by a product with the one-hot matrix of the indices: the order in which
 * a scatter adds is each provider's own business.
 */
function scatterRows(g: ShapedGraph, taken: string, indices: string, { axis, length }: Rows): string {
  const dims = g.dims(taken);
  const toFront = [axis, ...range(dims.length).filter((i) => i !== axis)];
  const rows = g.transpose(taken, toFront);
  const count = lengthAt(dims, axis);
  const matrix = g.reshape(rows, [count, sizeOf(dims) / count]);
  const rowNumbers = g.reshape(g.ints(range(length)), [1, length]);
  const asked = g.cast(g.reshape(indices, [count, 1]), 'int64');
  const oneHot = g.cast(g.compare('Equal', asked, rowNumbers), g.type(taken));
  const summed = g.gemm(oneHot, matrix, { transA: true });
  const apart = g.reshape(summed, [length, ...dims.filter((_, i) => i !== axis)]);
  return g.transpose(apart, inversePermutation(toFront));
}

/** What was overwritten has no gradient; what was written has that of its place. */
const scatterND: Rule = (call) => {
  refuseReduction(call);
  const { g, dy, input, needs } = call;
  const [indices, updates] = [input(1), input(2)];
  const zeros = (): string => g.zeros(g.dims(updates), g.type(updates));
  return [
    needs(0) ? g.node('ScatterND', [dy, indices, zeros()], { dims: g.dims(dy) }) : undefined,
    undefined,
    needs(2) ? g.node('GatherND', [dy, indices], { dims: g.dims(updates) }) : undefined,
  ];
};

const scatterElements: Rule = (call) => {
  refuseReduction(call);
  const { g, node, dy, input, needs } = call;
  const [indices, updates] = [input(1), input(2)];
  const attributes = { axis: intOf(node, 'axis') ?? 0 };
  const zeros = (): string => g.zeros(g.dims(updates), g.type(updates));
  return [
    needs(0)
      ? g.node('ScatterElements', [dy, indices, zeros()], { dims: g.dims(dy), attributes })
      : undefined,
    undefined,
    needs(2) ? g.node('GatherElements', [dy, indices], { dims: g.dims(updates), attributes }) : undefined,
  ];
};

function refuseReduction({ g, node }: RuleCall): void {
  const reduction = textOf(node, 'reduction') ?? 'none';
  if (reduction === 'none') return;
  throw misfit(
    `${node.opType} '${node.name ?? ''}' in ${g.source} reduces by '${reduction}', which has no gradient rule`,
  );
}

export const INDEXING_RULES: Readonly<Record<string, Rule>> = {
  Slice: slice,
  Gather: gather,
  ScatterND: scatterND,
  ScatterElements: scatterElements,
};
