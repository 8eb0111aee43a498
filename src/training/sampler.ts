import { randomStream } from './random.ts';

/** Tells the sampler's random numbers from others of the same seed. */
const STREAM = 0x5a3b;

/** Where a run is in its data. */
export interface SamplerPosition {
  /** From 0. */
  epoch: number;
  /** Rows of this epoch that were used. */
  taken: number;
}

export interface EpochOptions {
  /** How many rows there are; an epoch draws as many. */
  count: number;
  seed: number;
  epoch: number;
  /**
   * `[count]`, not negative: rows are then drawn with replacement, each as often as its share of the sum says. Without
   * it every row comes once.
   */
  weights?: Float32Array;
}

/** Row numbers in the order of one epoch: the same for the same options, whatever ran before. */
export function epochOrder({ count, seed, epoch, weights }: EpochOptions): Uint32Array {
  const random = randomStream(seed, STREAM, epoch);
  return weights === undefined ? shuffled(count, random) : drawn(count, weights, random);
}

/** The rest of an epoch, batch by batch; the last one may be smaller. */
export function* batchesFrom(order: Uint32Array, batchSize: number, taken = 0): Generator<Uint32Array> {
  for (let at = taken; at < order.length; at += batchSize) yield order.subarray(at, at + batchSize);
}

/** Weights that make every class as frequent as any other; a class without rows counts for nothing. */
export function balancedWeights(labels: ArrayLike<number>, classes: number): Float32Array {
  const counts = new Uint32Array(classes);
  for (const label of Array.from(labels)) counts[label] = (counts[label] ?? 0) + 1;
  return Float32Array.from(labels, (label) => 1 / (counts[label] ?? 1));
}

/** Fisher and Yates. */
function shuffled(count: number, random: () => number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order;
}

/**
 * Systematic sampling (Madow, 1949), then shuffled: a row of share p comes floor or ceil of p · count times, so that a
 * short epoch misses no class by bad luck.
 */
function drawn(count: number, weights: Float32Array, random: () => number): Uint32Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const begin = random();
  const picked = new Uint32Array(count);
  let row = 0;
  let upTo = weights[0] ?? 0;
  for (let i = 0; i < count; i++) {
    const at = ((begin + i) / count) * total;
    while (at >= upTo && row < count - 1) upTo += weights[++row] ?? 0;
    picked[i] = row;
  }
  const order = shuffled(count, random);
  return order.map((i) => picked[i] ?? 0);
}
