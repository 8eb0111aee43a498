import { unitRows } from './losses/pairs.ts';
import { isAngular, type LossSpec } from './loss-spec.ts';
import { normal, randomStream } from './random.ts';
import type { ShapedGraph } from './shaped-graph.ts';
import type { TrainedParameter } from './state-plan.ts';
import type { HeadWeights } from './trainer.ts';

export const HEAD_WEIGHT = 'head/weight';
export const HEAD_BIAS = 'head/bias';

/** Tells the head's random numbers from others of the same seed. */
const STREAM = 0x4ead;
/** Of a linear head's first weights: near zero, so that training starts from even odds. */
const LINEAR_DEVIATION = 0.01;

/** Lengths of a head, and what it begins with. */
export interface HeadOptions {
  length: number;
  classes: number;
  loss: LossSpec;
  seed: number;
  head?: HeadWeights;
}

/** The head's own weights: `[length, classes]`, and `[classes]` where the loss is not one on angles. */
export function headParameters({ length, classes, loss, seed, head }: HeadOptions): TrainedParameter[] {
  const deviation = isAngular(loss) ? 1 : LINEAR_DEVIATION;
  const random = (): Float32Array => {
    const numbers = randomStream(seed, STREAM);
    return Float32Array.from({ length: length * classes }, () => normal(numbers) * deviation);
  };
  const weight: TrainedParameter = {
    name: HEAD_WEIGHT,
    dims: [length, classes],
    decays: true,
    rate: 1,
    values: () => head?.weight ?? random(),
  };
  if (isAngular(loss)) return [weight];
  const bias: TrainedParameter = {
    name: HEAD_BIAS,
    dims: [classes],
    decays: false,
    rate: 1,
    values: () => head?.bias ?? new Float32Array(classes),
  };
  return [weight, bias];
}

/** Features less their mean, by their deviation, as far as these are given. */
export function standardised(
  g: ShapedGraph,
  features: string,
  statistics: HeadWeights['featureStatistics'],
): string {
  if (statistics === undefined) return features;
  const { mean, deviation } = statistics;
  return g.div(g.sub(features, g.constant(mean)), g.constant(deviation));
}

/**
 * What the loss takes, `[rows, classes]`: logits, or cosines between features and class weights for losses on angles.
 */
export function headScores(g: ShapedGraph, features: string, loss: LossSpec): string {
  if (!isAngular(loss)) return g.add(g.gemm(features, HEAD_WEIGHT), HEAD_BIAS);
  const byClass = unitRows(g, g.transpose(HEAD_WEIGHT, [1, 0]));
  return g.gemm(unitRows(g, features), byClass, { transB: true });
}

/** What is handed out as logits: scores, times the scale for losses on angles; no margin. */
export function headLogits(g: ShapedGraph, features: string, loss: LossSpec): string {
  const scores = headScores(g, features, loss);
  return isAngular(loss) ? g.mul(scores, loss.scale) : scores;
}
