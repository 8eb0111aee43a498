import { intOf } from '../../onnx/read-attribute.ts';
import { lengthAt, range, reducedDims } from '../dims.ts';
import { optionalInts, type Rule, type RuleCall } from '../rule.ts';

/** The axes that a node reduces: its second input, or all. */
function axesOfNode(call: RuleCall): readonly number[] {
  const rank = call.g.dims(call.input(0)).length;
  const axes = optionalInts(call, 1, []);
  if (axes.length > 0) return axes;
  return intOf(call.node, 'noop_with_empty_axes') === 1 ? [] : range(rank);
}

/** The gradient with the reduced axes as 1, so that it broadcasts over the input. */
function kept(call: RuleCall, value: string): string {
  const dims = call.g.dims(call.input(0));
  return call.g.reshape(value, reducedDims(dims, axesOfNode(call), true));
}

function countOf(call: RuleCall): number {
  const dims = call.g.dims(call.input(0));
  return axesOfNode(call).reduce((n, axis) => n * lengthAt(dims, axis), 1);
}

const reduceSum: Rule = (call) => [call.g.expand(kept(call, call.dy), call.g.dims(call.input(0)))];

const reduceMean: Rule = (call) => {
  const { g, dy, input } = call;
  return [g.expand(g.mul(kept(call, dy), 1 / countOf(call)), g.dims(input(0)))];
};

/** To the greatest (or smallest) element; in equal parts where there are several, as torch's amax does. */
const reduceExtremum: Rule = (call) => {
  const { g, dy, input, output } = call;
  const isIt = g.cast(g.compare('Equal', input(0), kept(call, output())), g.type(dy));
  const axes = axesOfNode(call);
  return [g.mul(g.div(isIt, g.sum(isIt, axes)), kept(call, dy))];
};

/** y = sqrt(Σx²): dx = dy·x/y, and 0 where y is. */
const reduceL2: Rule = (call) => {
  const { g, dy, input, output } = call;
  const isZero = g.compare('Equal', output(), 0);
  const factor = g.where(isZero, 0, g.div(dy, output()));
  return [g.mul(input(0), kept(call, factor))];
};

const reduceSumSquare: Rule = (call) => {
  const { g, dy, input } = call;
  return [g.mul(input(0), kept(call, g.mul(dy, 2)))];
};

const globalAveragePool: Rule = ({ g, dy, input }) => {
  const dims = g.dims(input(0));
  const area = dims.slice(2).reduce((a, b) => a * b, 1);
  return [g.expand(g.mul(dy, 1 / area), dims)];
};

export const REDUCTION_RULES: Readonly<Record<string, Rule>> = {
  ReduceSum: reduceSum,
  ReduceMean: reduceMean,
  ReduceMax: reduceExtremum,
  ReduceMin: reduceExtremum,
  ReduceL2: reduceL2,
  ReduceSumSquare: reduceSumSquare,
  GlobalAveragePool: globalAveragePool,
};
