import { lengthAt } from '../dims.ts';
import type { ShapedGraph } from '../shaped-graph.ts';

/** A batch whose rows are compared with each other. */
export interface PairBatch {
  /** `[rows, length]`, of any length of vector. */
  embeddings: string;
  /** One-hot `[rows, classes]`. */
  targets: string;
  /** `[rows]`; a row of weight 0 is neither anchor nor positive nor negative. */
  weights: string;
}

export interface Pairs {
  rows: number;
  /** Cosines, `[rows, rows]`. */
  similarities: string;
  /** 1 where two different rows of weight have one label, else 0. */
  positive: string;
  /** 1 where two rows of weight have different labels, else 0. */
  negative: string;
}

/** Keeps a vector of zeros from being divided by zero. */
export const LEAST_SQUARE = 1e-12;

/** Each row divided by its length. */
export function unitRows(g: ShapedGraph, x: string): string {
  return g.div(x, g.sqrt(g.add(g.sum(g.mul(x, x), [1]), LEAST_SQUARE)));
}

export function pairsOf(g: ShapedGraph, { embeddings, targets, weights }: PairBatch): Pairs {
  const rows = lengthAt(g.dims(embeddings), 0);
  const type = g.type(embeddings);
  const unit = unitRows(g, embeddings);
  const same = g.matmul(targets, g.swapLast(targets));
  const counts = g.cast(g.compare('Greater', weights, 0), type);
  const both = g.mul(g.reshape(counts, [rows, 1]), g.reshape(counts, [1, rows]));
  const identity = Float32Array.from({ length: rows * rows }, (_, i) => (i % (rows + 1) === 0 ? 1 : 0));
  const others = g.sub(1, g.cast(g.constant(identity, [rows, rows]), type));
  return {
    rows,
    similarities: g.matmul(unit, g.swapLast(unit)),
    positive: g.mul(g.mul(same, others), both),
    negative: g.mul(g.sub(1, same), both),
  };
}

/**
 * Weighted mean of the anchors' losses `[rows, 1]` over those that `counts` `[rows, 1]` takes; 0 where it takes none.
 */
export function anchorMean(
  g: ShapedGraph,
  anchors: { losses: string; counts: string; weights: string },
): string {
  const rows = lengthAt(g.dims(anchors.losses), 0);
  const shares = g.mul(g.reshape(anchors.weights, [rows, 1]), anchors.counts);
  const total = g.max(g.sum(shares, undefined, false), LEAST_SQUARE);
  return g.div(g.sum(g.mul(anchors.losses, shares), undefined, false), total);
}
