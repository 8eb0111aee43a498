import type { OptimiserSpec } from './optimiser-spec.ts';
import type { ShapedGraph } from './shaped-graph.ts';

/** Defaults of the papers and of torch. */
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const MOMENTUM = 0.9;
/** As torch's clip_grad_norm_. */
const CLIP_EPSILON = 1e-6;

/** State tensors that an optimiser keeps beside each parameter, all zeros at first. */
export function momentNames({ kind }: OptimiserSpec): readonly string[] {
  return kind === 'sgd' ? ['velocity'] : ['mean', 'square'];
}

/** Inputs of an update that change from step to step: scalars. */
export interface UpdateInputs {
  learningRate: string;
  /** Adam's 1 / (1 − beta1^t) and 1 / sqrt(1 − beta2^t); unused by SGD. */
  meanCorrection: string;
  squareCorrection: string;
}

/** Values of Adam's corrections in update t, counted from 1. */
export function corrections(spec: OptimiserSpec, t: number): { mean: number; square: number } {
  if (spec.kind === 'sgd') return { mean: 1, square: 1 };
  const { beta1 = ADAM.beta1, beta2 = ADAM.beta2 } = spec;
  return { mean: 1 / (1 - beta1 ** t), square: 1 / Math.sqrt(1 - beta2 ** t) };
}

export interface UpdateOf {
  parameter: string;
  gradient: string;
  /** In the order of `momentNames`. */
  moments: readonly string[];
  decays: boolean;
  /** Multiple of the learning rate. */
  rate: number;
}

export interface Updated {
  parameter: string;
  moments: string[];
}

/**
 * Appends one update of one parameter and says where its new values are. In float64 these are, with g the gradient,
 * r = rate · learning rate, w the decay:
 *
 * - AdamW: m ← β1 m + (1 − β1) g, v ← β2 v + (1 − β2) g², p ← p (1 − r w) − r m̂ / (√v̂ + ε);
 * - Adam: the same with g + w p for g and no other decay;
 * - SGD: with g + w p for g, v ← momentum · v + g, p ← p − r v, or with Nesterov p ← p − r (g + momentum · v).
 */
export function addUpdate(g: ShapedGraph, spec: OptimiserSpec, of: UpdateOf, inputs: UpdateInputs): Updated {
  const rate = of.rate === 1 ? inputs.learningRate : g.mul(inputs.learningRate, of.rate);
  const decay = of.decays ? spec.weightDecay : 0;
  const coupled = spec.kind !== 'adamw' && decay > 0;
  const gradient = coupled ? g.add(of.gradient, g.mul(of.parameter, decay)) : of.gradient;
  if (spec.kind === 'sgd') return sgd(g, spec, { ...of, gradient }, rate);
  const { beta1 = ADAM.beta1, beta2 = ADAM.beta2, epsilon = ADAM.epsilon } = spec;
  const [mean = '', square = ''] = of.moments;
  const newMean = g.add(g.mul(mean, beta1), g.mul(gradient, 1 - beta1));
  const newSquare = g.add(g.mul(square, beta2), g.mul(g.mul(gradient, gradient), 1 - beta2));
  const root = g.add(g.mul(g.sqrt(newSquare), inputs.squareCorrection), epsilon);
  const step = g.mul(g.div(newMean, root), g.mul(rate, inputs.meanCorrection));
  const isDecoupled = spec.kind === 'adamw' && decay > 0;
  const kept = isDecoupled ? g.mul(of.parameter, g.sub(1, g.mul(rate, decay))) : of.parameter;
  return { parameter: g.sub(kept, step), moments: [newMean, newSquare] };
}

function sgd(
  g: ShapedGraph,
  { momentum = MOMENTUM, nesterov = false }: Extract<OptimiserSpec, { kind: 'sgd' }>,
  { parameter, gradient, moments }: UpdateOf,
  rate: string,
): Updated {
  const velocity = g.add(g.mul(moments[0] ?? '', momentum), gradient);
  const step = nesterov ? g.add(gradient, g.mul(velocity, momentum)) : velocity;
  return { parameter: g.sub(parameter, g.mul(step, rate)), moments: [velocity] };
}

/** The length of all gradients together, a scalar. */
export function gradientNorm(g: ShapedGraph, gradients: readonly string[]): string {
  const squares = gradients.map((gradient) =>
    g.node('ReduceSumSquare', [gradient], { dims: [], attributes: { keepdims: 0 } }),
  );
  return g.sqrt(squares.reduce((sum, square) => g.add(sum, square)));
}

/** The factor that brings gradients of this norm down to the greatest allowed one, as torch's clip_grad_norm_. */
export function clipFactor(g: ShapedGraph, norm: string, greatest: number): string {
  return g.min(g.div(greatest, g.add(norm, CLIP_EPSILON)), 1);
}

/** decay · average + (1 − decay) · parameter, with the decay as an input. */
export function movedAverage(g: ShapedGraph, average: string, parameter: string, decay: string): string {
  return g.add(average, g.mul(g.sub(parameter, average), g.sub(1, decay)));
}

/** Decay of the moving average in update t, counted from 1: less in the first ones, so that it forgets the start. */
export function averageDecayAt(decay: number, t: number): number {
  return Math.min(decay, t / (t + AVERAGE_DELAY));
}

/** After t updates the average looks back some t / 10 of them, as TensorFlow's and timm's warm-up have it. */
const AVERAGE_DELAY = 9;
