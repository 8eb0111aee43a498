import type { ShapedGraph } from '../shaped-graph.ts';
import { anchorMean, pairsOf, type PairBatch } from './pairs.ts';

/** Keeps the slope of the root finite where two vectors are the same. */
const LEAST_SQUARE = 1e-7;
/** Farther than any two vectors of length 1. */
const FAR = 10;

/**
 * Batch-hard triplet loss (Hermans et al., 2017, eq. 5) on vectors of length 1: for each anchor
 * [margin + distance to its farthest positive − distance to its nearest negative]₊, Euclidean; the weighted mean over
 * anchors that have both. A scalar.
 */
export function batchHardTriplet(g: ShapedGraph, batch: PairBatch, { margin }: { margin: number }): string {
  const { similarities, positive, negative } = pairsOf(g, batch);
  const distances = g.sqrt(g.max(g.sub(2, g.mul(similarities, 2)), LEAST_SQUARE));
  const farthest = g.maximum(g.mul(distances, positive), [1]);
  const passed = g.add(distances, g.mul(g.sub(1, negative), FAR));
  const nearest = g.neg(g.maximum(g.neg(passed), [1]));
  const losses = g.max(g.add(g.sub(farthest, nearest), margin), 0);
  const has = (pairs: string): string => g.maximum(pairs, [1]);
  return anchorMean(g, {
    losses,
    counts: g.mul(has(positive), has(negative)),
    weights: batch.weights,
  });
}
