import { lengthAt } from '../dims.ts';
import type { LossSpec } from '../loss-spec.ts';
import type { ShapedGraph } from '../shaped-graph.ts';
import { arcFaceLogits, circleLogits, cosFaceLogits, type Angular } from './margins.ts';

/** What a loss is made of; targets `[rows, classes]`, each row sums to 1. */
export interface LossInputs {
  /** `[rows, classes]`: logits, or cosines for the losses on angles. */
  scores: string;
  targets: string;
  /** The same values, through which no gradient flows. */
  detached: (value: string) => string;
}

/** The loss of each row, `[rows]`. */
export function rowLosses(g: ShapedGraph, spec: LossSpec, inputs: LossInputs): string {
  const { scores, targets } = inputs;
  const angular: Angular = { cosines: scores, targets, detached: inputs.detached };
  switch (spec.kind) {
    case 'cross_entropy':
      return crossEntropy(g, scores, smoothed(g, targets, spec.smoothing));
    case 'focal':
      return focal(g, { scores, targets: smoothed(g, targets, spec.smoothing), gamma: spec.gamma });
    case 'poly':
      return poly(g, { scores, targets: smoothed(g, targets, spec.smoothing), epsilon: spec.epsilon });
    case 'arcface':
      return crossEntropy(g, arcFaceLogits(g, angular, spec), smoothed(g, targets, spec.smoothing));
    case 'cosface':
      return crossEntropy(g, cosFaceLogits(g, angular, spec), smoothed(g, targets, spec.smoothing));
    case 'circle':
      return crossEntropy(g, circleLogits(g, angular, spec), targets);
  }
}

/**
 * Σ weight · loss · scale over the rows: with scale = 1 / Σ weight of the whole batch it is the weighted mean, also
 * where the batch is summed up in parts. A row of weight 0 counts for nothing.
 */
export function weightedTotal(g: ShapedGraph, losses: string, weights: string, scale: string): string {
  return g.mul(g.sum(g.mul(losses, weights), [0], false), scale);
}

/** (1 − s) · t + s / classes (Szegedy et al., 2016). */
function smoothed(g: ShapedGraph, targets: string, smoothing: number): string {
  if (smoothing === 0) return targets;
  return g.add(g.mul(targets, 1 - smoothing), smoothing / lengthAt(g.dims(targets), -1));
}

/** −Σ t · log p, p = softmax of the scores. */
function crossEntropy(g: ShapedGraph, scores: string, targets: string): string {
  return g.neg(g.sum(g.mul(g.logSoftmax(scores), targets), [1], false));
}

/** Keeps the power's slope finite where a probability is 1. */
const LEAST_DOUBT = 1e-7;

/** −Σ t · (1 − p)^gamma · log p (Lin et al., 2017, for soft targets). */
function focal(g: ShapedGraph, loss: { scores: string; targets: string; gamma: number }): string {
  const logs = g.logSoftmax(loss.scores);
  const doubt = g.max(g.sub(1, g.exp(logs)), LEAST_DOUBT);
  const terms = g.mul(g.mul(logs, g.pow(doubt, loss.gamma)), loss.targets);
  return g.neg(g.sum(terms, [1], false));
}

/** Cross-entropy + epsilon · (1 − Σ t · p) (Leng et al., 2022, Poly-1). */
function poly(g: ShapedGraph, loss: { scores: string; targets: string; epsilon: number }): string {
  const logs = g.logSoftmax(loss.scores);
  const entropy = g.neg(g.sum(g.mul(logs, loss.targets), [1], false));
  const hit = g.sum(g.mul(g.exp(logs), loss.targets), [1], false);
  return g.add(entropy, g.mul(g.sub(1, hit), loss.epsilon));
}
