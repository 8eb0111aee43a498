import type { ShapedGraph } from '../shaped-graph.ts';

/** `[rows, classes]` cosines between features and class weights, and targets; soft targets get their share of a margin. */
export interface Angular {
  cosines: string;
  targets: string;
  /** The same values, through which no gradient flows. */
  detached: (value: string) => string;
}

interface Margin {
  margin: number;
  scale: number;
}

/** Keeps the slope of the sine finite at the angles 0 and π. */
const LEAST_SQUARE = 1e-7;

/**
 * scale · cos(angle + margin) on the target, scale · cos(angle) elsewhere (Deng et al., 2019). Where angle + margin
 * would pass π, and the cosine rise again, it is cos(angle) − margin · sin(π − margin), as in the authors' code.
 */
export function arcFaceLogits(
  g: ShapedGraph,
  { cosines, targets }: Angular,
  { margin, scale }: Margin,
): string {
  const sines = g.sqrt(g.max(g.sub(1, g.mul(cosines, cosines)), LEAST_SQUARE));
  const turned = g.sub(g.mul(cosines, Math.cos(margin)), g.mul(sines, Math.sin(margin)));
  const shifted = g.sub(cosines, margin * Math.sin(Math.PI - margin));
  const withMargin = g.where(g.compare('Greater', cosines, Math.cos(Math.PI - margin)), turned, shifted);
  return g.mul(g.add(cosines, g.mul(targets, g.sub(withMargin, cosines))), scale);
}

/** scale · (cos(angle) − margin) on the target, scale · cos(angle) elsewhere (Wang et al., 2018). */
export function cosFaceLogits(
  g: ShapedGraph,
  { cosines, targets }: Angular,
  { margin, scale }: Margin,
): string {
  return g.mul(g.sub(cosines, g.mul(targets, margin)), scale);
}

/**
 * Circle loss with class weights as the other side of each pair (Sun et al., 2020, eq. 6): on the target
 * scale · [1 + m − s]₊ · (s − (1 − m)), elsewhere scale · [s + m]₊ · (s − m). Softmax cross-entropy of these is
 * log(1 + Σ exp(elsewhere − target)). The factors in [ ]₊ weigh a pair and are not differentiated through.
 */
export function circleLogits(
  g: ShapedGraph,
  { cosines, targets, detached }: Angular,
  { margin, scale }: Margin,
): string {
  const similar = detached(g.max(g.sub(1 + margin, cosines), 0));
  const other = detached(g.max(g.add(cosines, margin), 0));
  const onTarget = g.mul(similar, g.sub(cosines, 1 - margin));
  const elsewhere = g.mul(other, g.sub(cosines, margin));
  return g.mul(g.add(elsewhere, g.mul(targets, g.sub(onTarget, elsewhere))), scale);
}
