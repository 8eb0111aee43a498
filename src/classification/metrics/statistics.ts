export interface FeatureStatistics {
  mean: Float32Array;
  deviation: Float32Array;
}

/**
 * Of all deviations' root mean square, the least that one counts as: a feature that hardly ever moved in these images,
 * and is divided by next to nothing, would outshout all others in the first image in which it moves.
 */
const LEAST_SHARE = 0.1;
/** Where no feature moves at all. */
const LEAST_DEVIATION = 1e-6;

/** Mean and deviation of each feature of `[rows, length]`. */
export function statisticsOf(features: Float32Array, length: number): FeatureStatistics {
  const rows = Math.max(1, features.length / length);
  const [sums, squares] = [new Float64Array(length), new Float64Array(length)];
  for (const [i, value] of features.entries()) sums[i % length] = (sums[i % length] ?? 0) + value;
  const mean = Float32Array.from(sums, (sum) => sum / rows);
  for (const [i, value] of features.entries()) {
    squares[i % length] = (squares[i % length] ?? 0) + (value - (mean[i % length] ?? 0)) ** 2;
  }
  const typical = Math.sqrt(squares.reduce((a, b) => a + b, 0) / (rows * Math.max(1, length)));
  const least = Math.max(LEAST_DEVIATION, LEAST_SHARE * typical);
  return { mean, deviation: Float32Array.from(squares, (sum) => Math.max(least, Math.sqrt(sum / rows))) };
}
