/**
 * What is minimised. All take soft targets and a weight a row; `smoothing` s mixes each target with the even
 * distribution: (1 − s) · t + s / classes.
 */
export type LossSpec =
  | { kind: 'cross_entropy'; smoothing: number }
  /** Lin et al., 2017: each class' term is weighted by (1 − p)^gamma. */
  | { kind: 'focal'; gamma: number; smoothing: number }
  /** Poly-1 (Leng et al., 2022): cross-entropy + epsilon · (1 − p of the target). */
  | { kind: 'poly'; epsilon: number; smoothing: number }
  /** Circle loss on class weights (Sun et al., 2020): cosines, relaxation margin, scale. */
  | { kind: 'circle'; margin: number; scale: number }
  /** Additive angular margin (Deng et al., 2019): scale · cos(angle + margin) on the target; margin in radians. */
  | { kind: 'arcface'; margin: number; scale: number; smoothing: number }
  /** Additive cosine margin (Wang et al., 2018): scale · (cos(angle) − margin) on the target. */
  | { kind: 'cosface'; margin: number; scale: number; smoothing: number };

/** Heads whose logits are scaled cosines between features and class weights, without a bias. */
export function isAngular(loss: LossSpec): loss is Extract<LossSpec, { scale: number }> {
  return loss.kind === 'circle' || loss.kind === 'arcface' || loss.kind === 'cosface';
}
