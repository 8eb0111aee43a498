import { HandlerError } from '../../base/errors.ts';
import { argmax } from './metrics.ts';
import type { BaselineOptions, LabelledFeatures } from './nearest.ts';

/** Added to the diagonal of the features' correlations: shrinks towards classes that all look alike. */
const PENALTY = 0.1;

/**
 * The class of each query by ridge regression on the classes: features brought to mean 0 and deviation 1, then
 * W = (XᵀX + penalty · n · I)⁻¹ Xᵀ Y by Cholesky, or by the same in the rows' own space where there are fewer rows than
 * features. The query's class is the one with the highest score.
 */
export function ridgeClasses({ train, queries, length, classes }: BaselineOptions): number[] {
  const scale = standardiser(train, length);
  const weights = fit({ x: scale(train.features), labels: train.labels, length, classes });
  const asked = scale(queries);
  const scores = new Float32Array(classes);
  return Array.from({ length: asked.length / length }, (_, q) => {
    for (let c = 0; c < classes; c += 1) {
      let sum = weights.offsets[c] ?? 0;
      for (let i = 0; i < length; i += 1) {
        sum += (asked[q * length + i] ?? 0) * (weights.slopes[i * classes + c] ?? 0);
      }
      scores[c] = sum;
    }
    return argmax(scores);
  });
}

function standardiser(
  { features }: LabelledFeatures,
  length: number,
): (features: Float32Array) => Float64Array {
  const rows = features.length / length;
  const [means, deviations] = [new Float64Array(length), new Float64Array(length)];
  for (const [i, value] of features.entries()) means[i % length] = (means[i % length] ?? 0) + value / rows;
  for (const [i, value] of features.entries()) {
    deviations[i % length] = (deviations[i % length] ?? 0) + (value - (means[i % length] ?? 0)) ** 2 / rows;
  }
  return (given) =>
    Float64Array.from(given, (value, i) => {
      const deviation = Math.sqrt(deviations[i % length] ?? 0);
      return deviation === 0 ? 0 : (value - (means[i % length] ?? 0)) / deviation;
    });
}

interface Problem {
  /** `[rows, length]`, each column with mean 0. */
  x: Float64Array;
  labels: readonly number[];
  length: number;
  classes: number;
}

interface Weights {
  /** `[length, classes]`. */
  slopes: Float64Array;
  /** `[classes]`. */
  offsets: Float64Array;
}

function fit({ x, labels, length, classes }: Problem): Weights {
  const rows = labels.length;
  const offsets = new Float64Array(classes);
  for (const label of labels) offsets[label] = (offsets[label] ?? 0) + 1 / rows;
  const y = new Float64Array(rows * classes);
  for (const [i, label] of labels.entries()) {
    for (let c = 0; c < classes; c += 1) y[i * classes + c] = (c === label ? 1 : 0) - (offsets[c] ?? 0);
  }
  const penalty = PENALTY * rows;
  if (rows >= length) {
    const slopes = transposedTimes(x, y, { rows, left: length, right: classes });
    solve(
      withPenalty(transposedTimes(x, x, { rows, left: length, right: length }), length, penalty),
      slopes,
      {
        size: length,
        columns: classes,
      },
    );
    return { slopes, offsets };
  }
  solve(withPenalty(timesTransposed(x, rows, length), rows, penalty), y, { size: rows, columns: classes });
  return { slopes: transposedTimes(x, y, { rows, left: length, right: classes }), offsets };
}

/** Aᵀ B of `[rows, left]` and `[rows, right]`. */
function transposedTimes(
  a: Float64Array,
  b: Float64Array,
  { rows, left, right }: { rows: number; left: number; right: number },
): Float64Array {
  const out = new Float64Array(left * right);
  for (let r = 0; r < rows; r += 1) {
    for (let i = 0; i < left; i += 1) {
      const value = a[r * left + i] ?? 0;
      const [to, from] = [i * right, r * right];
      for (let j = 0; j < right; j += 1) out[to + j] = (out[to + j] ?? 0) + value * (b[from + j] ?? 0);
    }
  }
  return out;
}

/** A Aᵀ of `[rows, length]`. */
function timesTransposed(a: Float64Array, rows: number, length: number): Float64Array {
  const out = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = 0;
      for (let k = 0; k < length; k += 1) sum += (a[i * length + k] ?? 0) * (a[j * length + k] ?? 0);
      out[i * rows + j] = sum;
      out[j * rows + i] = sum;
    }
  }
  return out;
}

function withPenalty(matrix: Float64Array, size: number, penalty: number): Float64Array {
  for (let i = 0; i < size; i += 1) matrix[i * size + i] = (matrix[i * size + i] ?? 0) + penalty;
  return matrix;
}

/** Solves A x = b in place of b, for a symmetric positive definite A, which is overwritten by its Cholesky factor. */
export function solve(
  a: Float64Array,
  b: Float64Array,
  { size, columns }: { size: number; columns: number },
): void {
  for (let i = 0; i < size; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = a[i * size + j] ?? 0;
      for (let k = 0; k < j; k += 1) sum -= (a[i * size + k] ?? 0) * (a[j * size + k] ?? 0);
      if (i !== j) a[i * size + j] = sum / (a[j * size + j] ?? 1);
      else if (sum > 0) a[i * size + i] = Math.sqrt(sum);
      else throw new HandlerError('internal', 'a matrix that should be positive definite is not');
    }
  }
  const eliminate = (i: number, k: number, factor: number): void => {
    for (let c = 0; c < columns; c += 1) {
      b[i * columns + c] = (b[i * columns + c] ?? 0) - factor * (b[k * columns + c] ?? 0);
    }
  };
  const divide = (i: number): void => {
    for (let c = 0; c < columns; c += 1)
      b[i * columns + c] = (b[i * columns + c] ?? 0) / (a[i * size + i] ?? 1);
  };
  for (let i = 0; i < size; i += 1) {
    for (let k = 0; k < i; k += 1) eliminate(i, k, a[i * size + k] ?? 0);
    divide(i);
  }
  for (let i = size - 1; i >= 0; i -= 1) {
    for (let k = i + 1; k < size; k += 1) eliminate(i, k, a[k * size + i] ?? 0);
    divide(i);
  }
}
