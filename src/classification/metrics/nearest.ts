import { argmax } from './metrics.ts';

/** Features with their classes, rows of the same length. */
export interface LabelledFeatures {
  /** `[rows, length]`. */
  features: Float32Array;
  labels: readonly number[];
}

export interface BaselineOptions {
  train: LabelledFeatures;
  /** Compared with them: `[rows, length]`. */
  queries: Float32Array;
  length: number;
  classes: number;
}

const NEIGHBOURS = 20;
const TEMPERATURE = 0.07;

/**
 * The class of each query by its nearest neighbours: the 20 with the highest cosine, each with a vote of
 * exp(cosine / 0.07), as DINO's evaluation does it (Wu et al., 2018).
 */
export function nearestNeighbours({ train, queries, length, classes }: BaselineOptions): number[] {
  const known = normalised(train.features, length);
  const asked = normalised(queries, length);
  const count = train.labels.length;
  const similar = new Float32Array(count);
  const most = Math.min(NEIGHBOURS, count);
  return Array.from({ length: asked.length / length }, (_, q) => {
    for (let i = 0; i < count; i += 1) similar[i] = dot(asked, q * length, known, i * length, length);
    const votes = new Float32Array(classes);
    for (const i of highest(similar, most)) {
      const label = train.labels[i] ?? 0;
      votes[label] = (votes[label] ?? 0) + Math.exp((similar[i] ?? 0) / TEMPERATURE);
    }
    return argmax(votes);
  });
}

function normalised(features: Float32Array, length: number): Float32Array {
  const out = Float32Array.from(features);
  for (let start = 0; start < out.length; start += length) {
    const row = out.subarray(start, start + length);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (norm > 0) for (let i = 0; i < length; i += 1) row[i] = (row[i] ?? 0) / norm;
  }
  return out;
}

function dot(a: Float32Array, fromA: number, b: Float32Array, fromB: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i += 1) sum += (a[fromA + i] ?? 0) * (b[fromB + i] ?? 0);
  return sum;
}

/** Positions of the `count` highest values. */
function highest(values: Float32Array, count: number): number[] {
  const kept: number[] = [];
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] ?? 0;
    if (kept.length === count && value <= (values[kept[count - 1] ?? 0] ?? 0)) continue;
    let place = kept.length;
    while (place > 0 && (values[kept[place - 1] ?? 0] ?? 0) < value) place -= 1;
    kept.splice(place, 0, i);
    if (kept.length > count) kept.pop();
  }
  return kept;
}
