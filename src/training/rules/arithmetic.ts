import { floatValues } from '../../onnx/tensor-values.ts';
import type { Rule, RuleCall } from '../rule.ts';

/** Brings an element-by-element gradient back to an input's lengths, if that input wants one. */
function toInput(call: RuleCall, index: number, gradient: () => string): string | undefined {
  return call.needs(index) ? call.g.sumTo(gradient(), call.g.dims(call.input(index))) : undefined;
}

const add: Rule = (call) => [toInput(call, 0, () => call.dy), toInput(call, 1, () => call.dy)];

const sub: Rule = (call) => [toInput(call, 0, () => call.dy), toInput(call, 1, () => call.g.neg(call.dy))];

const mul: Rule = (call) => {
  const { g, dy, input } = call;
  const gate = gateOf(call);
  if (gate !== undefined)
    return gate === 1 ? [throughSilu(call, input(1))] : [undefined, throughSilu(call, input(0))];
  return [toInput(call, 0, () => g.mul(dy, input(1))), toInput(call, 1, () => g.mul(dy, input(0)))];
};

/** Which input is the Sigmoid of the other one, as in SiLU (Swish). */
function gateOf({ input, maker }: RuleCall): 0 | 1 | undefined {
  const isGate = (gate: string, x: string): boolean => {
    const node = maker(gate);
    return node?.opType === 'Sigmoid' && node.inputs[0] === x;
  };
  if (isGate(input(1), input(0))) return 1;
  return isGate(input(0), input(1)) ? 0 : undefined;
}

/** y = x·s, s = Sigmoid(x): dx = dy·(s + y·(1 − s)), through both factors at once. */
function throughSilu({ g, dy, output }: RuleCall, s: string): string {
  return g.mul(dy, g.add(s, g.mul(output(), g.sub(1, s))));
}

/** y = a/b: da = dy/b, db = −dy·y/b. */
const div: Rule = (call) => {
  const { g } = call;
  const quotient = g.div(call.dy, call.input(1));
  return [toInput(call, 0, () => quotient), toInput(call, 1, () => g.neg(g.mul(quotient, call.output())))];
};

/** y = a^b: da = dy·b·a^(b−1), db = dy·y·ln a (a > 0). */
const pow: Rule = (call) => {
  const { g, dy } = call;
  const [base, exponent] = [call.input(0), call.input(1)];
  const constant = g.tensor(exponent);
  const fixed = constant?.dims.every((d) => d === 1) === true ? floatValues(constant)[0] : undefined;
  const slope = (): string => {
    if (fixed === 2) return g.mul(base, 2);
    if (fixed !== undefined) return g.mul(g.pow(base, fixed - 1), fixed);
    return g.mul(g.pow(base, g.sub(exponent, 1)), exponent);
  };
  return [
    toInput(call, 0, () => g.mul(dy, slope())),
    toInput(call, 1, () => g.mul(dy, g.mul(call.output(), g.log(base)))),
  ];
};

/** The gradient goes where the result came from; to both where they are equal and both want it. */
const extremum: Rule = (call) => {
  const { g, dy, node } = call;
  return node.inputs.map((input, i) =>
    toInput(call, i, () => g.where(g.compare('Equal', input, call.output()), dy, 0)),
  );
};

const sum: Rule = (call) => call.node.inputs.map((_, i) => toInput(call, i, () => call.dy));

const where: Rule = (call) => [
  undefined,
  toInput(call, 1, () => call.g.where(call.input(0), call.dy, 0)),
  toInput(call, 2, () => call.g.where(call.input(0), 0, call.dy)),
];

const neg: Rule = ({ g, dy }) => [g.neg(dy)];
const exp: Rule = ({ g, dy, output }) => [g.mul(dy, output())];
const log: Rule = ({ g, dy, input }) => [g.div(dy, input(0))];
const sqrt: Rule = ({ g, dy, output }) => [g.div(dy, g.mul(output(), 2))];
const reciprocal: Rule = ({ g, dy, output }) => [g.neg(g.mul(dy, g.mul(output(), output())))];
const abs: Rule = ({ g, dy, input }) => [g.mul(dy, g.unary('Sign', input(0)))];
const sin: Rule = ({ g, dy, input }) => [g.mul(dy, g.unary('Cos', input(0)))];
const cos: Rule = ({ g, dy, input }) => [g.neg(g.mul(dy, g.unary('Sin', input(0))))];

export const ARITHMETIC_RULES: Readonly<Record<string, Rule>> = {
  Add: add,
  Sub: sub,
  Mul: mul,
  Div: div,
  Pow: pow,
  Min: extremum,
  Max: extremum,
  Sum: sum,
  Where: where,
  Neg: neg,
  Exp: exp,
  Log: log,
  Sqrt: sqrt,
  Reciprocal: reciprocal,
  Abs: abs,
  Sin: sin,
  Cos: cos,
};
