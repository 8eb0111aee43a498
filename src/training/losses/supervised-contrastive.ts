import type { ShapedGraph } from '../shaped-graph.ts';
import { anchorMean, pairsOf, type PairBatch } from './pairs.ts';

/** Far below every scaled cosine, and yet finite. */
const NEVER = -1e9;

/**
 * Supervised contrastive loss (Khosla et al., 2020, eq. 2, L_out): for each anchor −1/|P| Σ over its positives p of
 * log(exp(s_p / T) / Σ over all others a of exp(s_a / T)), s = cosine; the weighted mean over anchors that have a
 * positive. A scalar.
 */
export function supervisedContrastive(
  g: ShapedGraph,
  batch: PairBatch,
  { temperature }: { temperature: number },
): string {
  const { similarities, positive, negative } = pairsOf(g, batch);
  const candidates = g.add(positive, negative);
  const masked = g.add(g.mul(similarities, 1 / temperature), g.mul(g.sub(1, candidates), NEVER));
  const logs = g.logSoftmax(masked);
  const counts = g.sum(positive, [1]);
  const losses = g.neg(g.div(g.sum(g.mul(logs, positive), [1]), g.max(counts, 1)));
  return anchorMean(g, { losses, counts: g.min(counts, 1), weights: batch.weights });
}
