import { float } from '../../onnx/build.ts';
import { floatOf, intOf, textOf } from '../../onnx/read-attribute.ts';
import { axisOf } from '../dims.ts';
import type { Rule } from '../rule.ts';
import type { ShapedGraph } from '../shaped-graph.ts';

/** Slope and offset that ONNX gives HardSigmoid where the file says nothing. */
const HARD_SIGMOID = { alpha: 0.2, beta: 0.5 };
/** x·max(0, min(1, x/6 + 1/2)), as ONNX defines HardSwish. */
const HARD_SWISH = { alpha: 1 / 6, beta: 0.5 };
/** sqrt(2/π) and the cubic's factor of the tanh form of GELU. */
const TANH_GELU = { scale: Math.sqrt(2 / Math.PI), cubic: 0.044715 };

/** Nearly the greatest float32. */
const STEEPEST = 3e38;

const relu: Rule = ({ g, dy, output }) => [g.mul(dy, isPositive(g, output()))];

const leakyRelu: Rule = ({ g, dy, node, input }) => {
  const slope = floatOf(node, 'alpha') ?? 0.01;
  return [g.where(g.compare('Less', input(0), 0), g.mul(dy, slope), dy)];
};

const sigmoid: Rule = ({ g, dy, output }) => [g.mul(dy, g.mul(output(), g.sub(1, output())))];
const tanh: Rule = ({ g, dy, output }) => [g.mul(dy, g.sub(1, g.mul(output(), output())))];
const softplus: Rule = ({ g, dy, input }) => [g.mul(dy, g.unary('Sigmoid', input(0)))];

/** 2/sqrt(π)·exp(−x²). */
const erf: Rule = ({ g, dy, input }) => [g.mul(dy, g.mul(bell(g, input(0)), 2 / Math.sqrt(Math.PI)))];

/** Passes where the value was left as it is. Bounds have no gradient. */
const clip: Rule = ({ g, dy, input, output }) => [g.where(g.compare('Equal', input(0), output()), dy, 0)];

const hardSigmoid: Rule = ({ g, dy, node, output }) => {
  const slope = floatOf(node, 'alpha') ?? HARD_SIGMOID.alpha;
  return [g.mul(dy, g.mul(insideUnit(g, output()), slope))];
};

/** With h = HardSigmoid(x): y' = h + x·h'. */
const hardSwish: Rule = ({ g, dy, input }) => {
  const { alpha, beta } = HARD_SWISH;
  const gate = g.unary('HardSigmoid', input(0), { alpha: float(alpha), beta: float(beta) });
  const slope = g.mul(g.mul(input(0), insideUnit(g, gate)), alpha);
  return [g.mul(dy, g.add(gate, slope))];
};

const gelu: Rule = ({ g, dy, node, input }) => [
  textOf(node, 'approximate') === 'tanh' ? tanhGelu(g, dy, input(0)) : erfGelu(g, dy, input(0)),
];

/** With s = x/sqrt(2): y' = Φ(x) + x·φ(x) = (1 + erf(s))/2 + s·exp(−s²)/sqrt(π). */
function erfGelu(g: ShapedGraph, dy: string, x: string): string {
  const scaled = g.mul(x, Math.SQRT1_2);
  // erf lies in −1 to 1, where this HardSigmoid is (1 + erf)/2, in one pass.
  const below = g.unary('HardSigmoid', g.unary('Erf', scaled), { alpha: float(0.5), beta: float(0.5) });
  const slope = g.mul(g.mul(bell(g, scaled), scaled), 1 / Math.sqrt(Math.PI));
  return g.mul(dy, g.add(below, slope));
}

/** With u = k·(x + c·x³): y = x/2·(1 + tanh u). */
function tanhGelu(g: ShapedGraph, dy: string, x: string): string {
  const { scale, cubic } = TANH_GELU;
  const square = g.mul(x, x);
  const inner = g.mul(x, g.add(g.mul(square, scale * cubic), scale));
  const t = g.unary('Tanh', inner);
  const innerSlope = g.add(g.mul(square, 3 * scale * cubic), scale);
  const bend = g.mul(g.mul(g.sub(1, g.mul(t, t)), innerSlope), x);
  return g.mul(dy, g.mul(g.add(g.add(t, 1), bend), 0.5));
}

/** With h = dy·y: dx = h − y·Σh along the axis. */
const softmax: Rule = ({ g, dy, node, output }) => {
  const y = output();
  const axis = axisOf(intOf(node, 'axis') ?? -1, g.dims(y).length);
  const weighted = g.mul(dy, y);
  return [g.sub(weighted, g.mul(y, g.sum(weighted, [axis])))];
};

const logSoftmax: Rule = ({ g, dy, node, output }) => {
  const y = output();
  const axis = axisOf(intOf(node, 'axis') ?? -1, g.dims(y).length);
  return [g.sub(dy, g.mul(g.exp(y), g.sum(dy, [axis])))];
};

/** exp(−x²). */
function bell(g: ShapedGraph, x: string): string {
  return g.exp(g.neg(g.mul(x, x)));
}

/**
 * 1 where x > 0, otherwise 0, in the one pass that is cheapest: a HardSigmoid so steep that it has reached 1 at the
 * smallest normal number.
 */
function isPositive(g: ShapedGraph, x: string): string {
  return g.unary('HardSigmoid', x, { alpha: float(STEEPEST), beta: float(0) });
}

/** 1 where 0 < y < 1, and 0 at the ends, for y in 0 to 1. */
function insideUnit(g: ShapedGraph, y: string): string {
  return isPositive(g, g.mul(y, g.sub(1, y)));
}

export const ACTIVATION_RULES: Readonly<Record<string, Rule>> = {
  Relu: relu,
  LeakyRelu: leakyRelu,
  Sigmoid: sigmoid,
  Tanh: tanh,
  Softplus: softplus,
  Erf: erf,
  Clip: clip,
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  Gelu: gelu,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
};
