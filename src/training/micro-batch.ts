/** One run stays below this, so that a stop is honoured between runs. */
const LONGEST_RUN_MS = 1_000;

/**
 * Rows of one run for a batch of this size: as many as take about a second at most, at least one, and such that the
 * runs of a batch are of one size.
 */
export function planMicroBatch(batchSize: number, msPerRow: number): number {
  const most = Math.max(1, Math.min(batchSize, Math.floor(LONGEST_RUN_MS / msPerRow)));
  return Math.ceil(batchSize / Math.ceil(batchSize / most));
}

/** `[rows, ...]` in one array. */
export interface Rows<A extends Float32Array | Uint8Array = Float32Array | Uint8Array> {
  data: A;
  /** Elements of one row. */
  length: number;
}

/**
 * Rows `at` to `at + count`, exactly `count` of them and in an array of their own: beyond the end the first row is
 * repeated. A repeated row is a real one, so that nothing in the graph meets what it never would; its weight is 0.
 */
export function rowsOf<A extends Float32Array | Uint8Array>(rows: Rows<A>, at: number, count: number): A {
  const { data, length } = rows;
  const part = data.subarray(at * length, (at + count) * length);
  const whole = (
    data instanceof Float32Array ? new Float32Array(count * length) : new Uint8Array(count * length)
  ) as A;
  whole.set(part);
  for (let i = part.length; i < whole.length; i += length) whole.set(data.subarray(0, length), i);
  return whole;
}

/** Weights of rows `at` to `at + count`; beyond the end 0. */
export function weightsOf(weights: Float32Array, at: number, count: number): Float32Array {
  const part = new Float32Array(count);
  part.set(weights.subarray(at, at + count));
  return part;
}
