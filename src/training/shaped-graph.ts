import type { AttributeInput } from '../onnx/build.ts';
import { DATA_TYPE, type DataType } from '../onnx/types.ts';
import {
  axesOf,
  axisOf,
  broadcastAxes,
  broadcastDims,
  lengthAt,
  matmulDims,
  permutedDims,
  range,
} from './dims.ts';
import { reducedDims, sameDims, withLength, type Dims } from './dims.ts';
import { graphCore, type GraphCore } from './graph-core.ts';

/** A value by its name, or a number, which stands for a scalar of the other operand's type. */
type Operand = string | number;

interface SliceOptions {
  axis: number;
  /** First index taken. */
  start: number;
  /** First index not taken any more. */
  end: number;
  step?: number;
}

/** A graph under construction with the operators that gradients, losses and optimisers are written in. */
export interface ShapedGraph extends GraphCore {
  // Element by element, with broadcasting; at least one operand is a value.
  add(a: Operand, b: Operand): string;
  sub(a: Operand, b: Operand): string;
  mul(a: Operand, b: Operand): string;
  div(a: Operand, b: Operand): string;
  min(a: Operand, b: Operand): string;
  max(a: Operand, b: Operand): string;
  pow(a: Operand, b: Operand): string;
  /** `Equal`, `Less`, `Greater`, `LessOrEqual` or `GreaterOrEqual`, as bool. */
  compare(opType: string, a: Operand, b: Operand): string;
  where(condition: string, a: Operand, b: Operand): string;
  neg(x: string): string;
  exp(x: string): string;
  log(x: string): string;
  sqrt(x: string): string;
  /** Any operator of one input whose output has the same type and lengths. */
  unary(opType: string, x: string, attributes?: Readonly<Record<string, AttributeInput>>): string;
  cast(x: string, type: DataType): string;

  // Matrices.
  matmul(a: string, b: string): string;
  /** `op(a)·op(b)` of two matrices. */
  gemm(a: string, b: string, options?: { transA?: boolean; transB?: boolean }): string;
  transpose(x: string, perm: Dims): string;
  /** The last two axes change places. */
  swapLast(x: string): string;

  // Shapes. Those that change nothing add no node.
  reshape(x: string, dims: Dims): string;
  expand(x: string, dims: Dims): string;
  slice(x: string, options: SliceOptions): string;
  /** Zeros before and after, an axis at a time. */
  pad(x: string, before: Dims, after: Dims): string;
  concat(xs: readonly string[], axis: number): string;
  split(x: string, lengths: Dims, axis: number): string[];
  gather(x: string, indices: string, axis: number): string;
  zeros(dims: Dims, type?: DataType): string;

  // Reductions; the reduced axes stay as 1 unless `keep` is false.
  sum(x: string, axes?: Dims, keep?: boolean): string;
  mean(x: string, axes?: Dims, keep?: boolean): string;
  maximum(x: string, axes?: Dims, keep?: boolean): string;
  /** Undoes broadcasting: sums to these lengths. */
  sumTo(x: string, dims: Dims): string;
  softmax(x: string, axis?: number): string;
  logSoftmax(x: string, axis?: number): string;
}

/** An empty graph; `source` names it in messages. */
export function shapedGraph(source: string): ShapedGraph {
  const core = graphCore(source);
  return { ...core, ...elementwise(core), ...matrices(core), ...shapes(core), ...reductions(core) };
}

function elementwise(g: GraphCore) {
  const typeOf = (a: Operand, b: Operand): DataType =>
    typeof a === 'string' ? g.type(a) : typeof b === 'string' ? g.type(b) : 'float32';
  const named = (x: Operand, type: DataType): string => (typeof x === 'string' ? x : g.scalar(x, type));
  const binary =
    (opType: string, result?: DataType) =>
    (a: Operand, b: Operand): string => {
      const [x, y] = [named(a, typeOf(a, b)), named(b, typeOf(a, b))];
      const dims = broadcastDims(g.dims(x), g.dims(y));
      return g.node(opType, [x, y], { dims, type: result ?? g.type(x) });
    };
  const unary: ShapedGraph['unary'] = (opType, x, attributes = {}) =>
    g.node(opType, [x], { dims: g.dims(x), attributes });
  return {
    add: binary('Add'),
    sub: binary('Sub'),
    mul: binary('Mul'),
    div: binary('Div'),
    min: binary('Min'),
    max: binary('Max'),
    pow: binary('Pow'),
    compare: (opType: string, a: Operand, b: Operand) => binary(opType, 'bool')(a, b),
    where: (condition: string, a: Operand, b: Operand) => {
      const [x, y] = [named(a, typeOf(a, b)), named(b, typeOf(a, b))];
      const dims = broadcastDims(g.dims(condition), broadcastDims(g.dims(x), g.dims(y)));
      return g.node('Where', [condition, x, y], { dims, type: g.type(x) });
    },
    neg: (x: string) => unary('Neg', x),
    exp: (x: string) => unary('Exp', x),
    log: (x: string) => unary('Log', x),
    sqrt: (x: string) => unary('Sqrt', x),
    unary,
    cast: (x: string, type: DataType) =>
      g.type(x) === type
        ? x
        : g.node('Cast', [x], { dims: g.dims(x), type, attributes: { to: DATA_TYPE[type] } }),
  };
}

function matrices(g: GraphCore) {
  const transpose: ShapedGraph['transpose'] = (x, perm) =>
    perm.every((axis, i) => axis === i)
      ? x
      : g.node('Transpose', [x], { dims: permutedDims(g.dims(x), perm), attributes: { perm } });
  const gemm: ShapedGraph['gemm'] = (a, b, { transA = false, transB = false } = {}) => {
    const dims = matmulDims(
      transA ? g.dims(a).toReversed() : g.dims(a),
      transB ? g.dims(b).toReversed() : g.dims(b),
    );
    return g.node('Gemm', [a, b], { dims, attributes: { transA: Number(transA), transB: Number(transB) } });
  };
  return {
    matmul: (a: string, b: string) => g.node('MatMul', [a, b], { dims: matmulDims(g.dims(a), g.dims(b)) }),
    gemm,
    transpose,
    swapLast: (x: string) => {
      const rank = g.dims(x).length;
      return transpose(x, [...range(rank - 2), rank - 1, rank - 2]);
    },
  };
}

function shapes(g: GraphCore) {
  const concat: ShapedGraph['concat'] = (xs, axis) => {
    const [first = ''] = xs;
    if (xs.length === 1) return first;
    const total = xs.reduce((length, x) => length + lengthAt(g.dims(x), axis), 0);
    return g.node('Concat', xs, { dims: withLength(g.dims(first), axis, total), attributes: { axis } });
  };
  const slice: ShapedGraph['slice'] = (x, { axis, start, end, step = 1 }) => {
    const dims = g.dims(x);
    if (start === 0 && step === 1 && end === lengthAt(dims, axis)) return x;
    const length = Math.max(0, Math.ceil((end - start) / step));
    const where = [[start], [end], [axisOf(axis, dims.length)], [step]].map((list) => g.ints(list));
    return g.node('Slice', [x, ...where], { dims: withLength(dims, axis, length) });
  };
  return {
    reshape: (x: string, dims: Dims) =>
      sameDims(g.dims(x), dims) ? x : g.node('Reshape', [x, g.ints(dims)], { dims }),
    expand: (x: string, dims: Dims) =>
      sameDims(g.dims(x), dims) ? x : g.node('Expand', [x, g.ints(dims)], { dims }),
    slice,
    pad: (x: string, before: Dims, after: Dims) => {
      const dims = g.dims(x).map((d, i) => d + (before[i] ?? 0) + (after[i] ?? 0));
      return sameDims(dims, g.dims(x)) ? x : g.node('Pad', [x, g.ints([...before, ...after])], { dims });
    },
    concat,
    split: (x: string, lengths: Dims, axis: number) =>
      g.nodes('Split', [x, g.ints(lengths)], {
        outputs: lengths.map((length) => ({ type: g.type(x), dims: withLength(g.dims(x), axis, length) })),
        attributes: { axis },
      }),
    gather: (x: string, indices: string, axis: number) => {
      const at = axisOf(axis, g.dims(x).length);
      const dims = [...g.dims(x).slice(0, at), ...g.dims(indices), ...g.dims(x).slice(at + 1)];
      return g.node('Gather', [x, indices], { dims, attributes: { axis: at } });
    },
    zeros: (dims: Dims, type: DataType = 'float32') =>
      g.node('Expand', [g.scalar(0, type), g.ints(dims)], { dims, type }),
  };
}

function reductions(g: GraphCore) {
  const all = (x: string): number[] => range(g.dims(x).length);
  const reduce =
    (opType: string) =>
    (x: string, axes: Dims = all(x), keep = true): string => {
      if (axes.length === 0) return x;
      const dims = reducedDims(g.dims(x), axes, keep);
      const counted = axesOf(axes, g.dims(x).length);
      return g.node(opType, [x, g.ints(counted)], { dims, attributes: { keepdims: Number(keep) } });
    };
  const sum = reduce('ReduceSum');
  const softmaxOf =
    (opType: string) =>
    (x: string, axis = -1): string =>
      g.node(opType, [x], { dims: g.dims(x), attributes: { axis: axisOf(axis, g.dims(x).length) } });
  return {
    sum,
    mean: reduce('ReduceMean'),
    maximum: reduce('ReduceMax'),
    sumTo: (x: string, dims: Dims) => {
      const summed = sum(x, broadcastAxes(dims, g.dims(x)));
      return sameDims(g.dims(summed), dims) ? summed : g.node('Reshape', [summed, g.ints(dims)], { dims });
    },
    softmax: softmaxOf('Softmax'),
    logSoftmax: softmaxOf('LogSoftmax'),
  };
}
