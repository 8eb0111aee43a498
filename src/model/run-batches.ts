import { messageOf, ModelError } from '../base/errors.ts';

/** What stays from call to call. */
export interface BatchState {
  /** Rows of every run; smaller after memory ran out. */
  batchSize: number;
  /** Below this the model cannot go: 1, or the batch that its file fixes. */
  readonly minBatchSize: number;
}

export interface RunBatchesOptions {
  /** `[count, ...]` rows of `rowBytes` each. */
  pixels: Uint8Array;
  count: number;
  rowBytes: number;
  state: BatchState;
  /** Runs exactly `batchSize` rows and gives `[batchSize, dim]`. */
  run: (pixels: Uint8Array, batchSize: number) => Promise<Float32Array>;
  onHalved: (batchSize: number, reason: string) => void;
}

/** What ONNX Runtime, CUDA, cuDNN, cuBLAS and the C++ library say when memory runs out. */
const OUT_OF_MEMORY =
  /out[ _]of[ _]memory|failed to allocate|alloc\w*[ _]failed|bad[ _]alloc|smaller than requested bytes|not enough memory/i;

export function isOutOfMemory(error: unknown): boolean {
  return OUT_OF_MEMORY.test(messageOf(error));
}

/**
 * Vectors of all rows, in order, in runs of one fixed size: the last one is padded with zeros whose vectors are thrown
 * away. When memory runs out the batch is halved, down to the smallest, and the same rows are tried again.
 * @throws ModelError `out_of_memory` at the smallest batch; other errors of `run` as they are.
 */
export async function runBatches(options: RunBatchesOptions): Promise<Float32Array> {
  const { pixels, count, rowBytes, state } = options;
  let vectors: Float32Array | undefined;
  for (let at = 0; at < count;) {
    const size = state.batchSize;
    const rows = Math.min(size, count - at);
    let batch: Float32Array;
    try {
      batch = await options.run(
        padded(pixels.subarray(at * rowBytes, (at + rows) * rowBytes), size * rowBytes),
        size,
      );
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      halve(state, error, options.onHalved);
      continue;
    }
    const dim = batch.length / size;
    vectors ??= new Float32Array(count * dim);
    vectors.set(batch.subarray(0, rows * dim), at * dim);
    at += rows;
  }
  return vectors ?? new Float32Array(0);
}

function halve(state: BatchState, error: unknown, onHalved: RunBatchesOptions['onHalved']): void {
  if (state.batchSize <= state.minBatchSize) {
    throw new ModelError(
      'out_of_memory',
      `memory ran out at a batch of ${String(state.batchSize)}: use a smaller model or a larger machine`,
      { cause: error },
    );
  }
  state.batchSize = Math.max(state.minBatchSize, Math.floor(state.batchSize / 2));
  onHalved(state.batchSize, messageOf(error));
}

function padded(rows: Uint8Array, bytes: number): Uint8Array {
  if (rows.length === bytes) return rows;
  const out = new Uint8Array(bytes);
  out.set(rows);
  return out;
}
