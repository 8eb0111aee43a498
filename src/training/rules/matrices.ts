import { floatOf, intOf } from '../../onnx/read-attribute.ts';
import { sizeOf } from '../dims.ts';
import type { Rule, RuleCall } from '../rule.ts';
import type { ShapedGraph } from '../shaped-graph.ts';

/** y = a·b: da = dy·bᵀ, db = aᵀ·dy, summed over what was broadcast. */
const matmul: Rule = (call) => {
  const { g, dy } = call;
  const [a, b] = [call.input(0), call.input(1)];
  const [aDims, bDims] = [g.dims(a), g.dims(b)];
  if (aDims.length < 2 || bDims.length < 2) return vectorMatmul(call);
  const isLinear = bDims.length === 2 && aDims.length > 2;
  return [
    call.needs(0) ? g.sumTo(g.matmul(dy, g.swapLast(b)), aDims) : undefined,
    call.needs(1)
      ? isLinear
        ? g.gemm(rows(g, a), rows(g, dy), { transA: true })
        : g.sumTo(g.matmul(g.swapLast(a), dy), bDims)
      : undefined,
  ];
};

/** A vector counts as a matrix of one row (in front) or one column (behind). */
function vectorMatmul({ g, dy, input, needs }: RuleCall): (string | undefined)[] {
  const [a, b] = [input(0), input(1)];
  const [aDims, bDims] = [g.dims(a), g.dims(b)];
  const left = aDims.length === 1 ? g.reshape(a, [1, ...aDims]) : a;
  const right = bDims.length === 1 ? g.reshape(b, [...bDims, 1]) : b;
  const lead = aDims.length > bDims.length ? aDims.slice(0, -2) : bDims.slice(0, -2);
  const full = g.reshape(dy, [...lead, g.dims(left).at(-2) ?? 1, g.dims(right).at(-1) ?? 1]);
  return [
    needs(0) ? g.reshape(g.sumTo(g.matmul(full, g.swapLast(right)), g.dims(left)), aDims) : undefined,
    needs(1) ? g.reshape(g.sumTo(g.matmul(g.swapLast(left), full), g.dims(right)), bDims) : undefined,
  ];
}

/** All but the last axis as one. */
function rows(g: ShapedGraph, x: string): string {
  const dims = g.dims(x);
  return g.reshape(x, [sizeOf(dims.slice(0, -1)), dims.at(-1) ?? 1]);
}

/** y = alpha·op(a)·op(b) + beta·c. */
const gemm: Rule = (call) => {
  const { g, node, dy } = call;
  const [a, b] = [call.input(0), call.input(1)];
  const transA = intOf(node, 'transA') === 1;
  const transB = intOf(node, 'transB') === 1;
  const scaled = (factor: number): string => (factor === 1 ? dy : g.mul(dy, factor));
  const d = call.needs(0) || call.needs(1) ? scaled(floatOf(node, 'alpha') ?? 1) : dy;
  const toA = (): string =>
    transA ? g.gemm(b, d, { transA: transB, transB: true }) : g.gemm(d, b, { transB: !transB });
  const toB = (): string =>
    transB ? g.gemm(d, a, { transA: true, transB: transA }) : g.gemm(a, d, { transA: !transA });
  return [
    call.needs(0) ? toA() : undefined,
    call.needs(1) ? toB() : undefined,
    call.needs(2) ? g.sumTo(scaled(floatOf(node, 'beta') ?? 1), g.dims(call.input(2))) : undefined,
  ];
};

export const MATRIX_RULES: Readonly<Record<string, Rule>> = { MatMul: matmul, Gemm: gemm };
