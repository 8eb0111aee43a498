import { StoreError, toHandlerError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { VectorStore } from '../qdrant/store.ts';
import type { EmbeddedImage, FailedImage } from './extract.ts';
import type { ImageRef } from './image-ref.ts';
import { payloadOf } from './payload.ts';

export interface PointWriterOptions {
  store: VectorStore;
  /** Fingerprint of the model whose vectors are written. */
  model: string;
  jobId: string;
  report: {
    /** Told of points that the store has acknowledged. */
    written(collection: string, refs: readonly ImageRef[]): Promise<void>;
    failed(image: FailedImage): void;
  };
  log: Log;
}

/** After so many writes in a row that the store did not take, the job ends: there is nobody to write to. */
const MAX_CONSECUTIVE_FAILURES = 4;

/** A store that says these will say them of every point: no image is to blame. */
const HOPELESS = new Set(['qdrant_unauthorized', 'qdrant_not_found', 'qdrant_dimension_mismatch']);

/**
 * Writes points and tells of those that were acknowledged. A write that is refused is halved until the refused points
 * stand alone, and only those fail. Writes under way are never cut off by a stop: what the store took is counted.
 */
export function createPointWriter(
  options: PointWriterOptions,
): (collection: string, images: readonly EmbeddedImage[]) => Promise<void> {
  const { store, report, log } = options;
  const batchNumbers = new Map<string, number>();
  let failuresInARow = 0;

  const write = async (collection: string, images: readonly EmbeddedImage[]): Promise<void> => {
    try {
      await store.upsert(
        collection,
        images.map(({ ref, vector, content }) => ({
          id: ref.pointId,
          vector,
          payload: payloadOf(ref, { model: options.model, jobId: options.jobId, content }),
        })),
      );
    } catch (error) {
      if (error instanceof StoreError && HOPELESS.has(error.code)) throw error;
      const failure = toHandlerError(error);
      if (!failure.retryable && images.length > 1) {
        const half = Math.ceil(images.length / 2);
        await write(collection, images.slice(0, half));
        await write(collection, images.slice(half));
        return;
      }
      for (const { ref } of images) report.failed({ ref, error: failure });
      log.error(`[${collection}] a write was not taken`, { points: images.length, error: failure.message });
      if (failure.retryable && ++failuresInARow >= MAX_CONSECUTIVE_FAILURES) throw failure;
      return;
    }
    failuresInARow = 0;
    const batch = (batchNumbers.get(collection) ?? 0) + 1;
    batchNumbers.set(collection, batch);
    log.info(`[${collection}] Batch ${batch}: Upserted ${images.length} points`);
    await report.written(
      collection,
      images.map(({ ref }) => ref),
    );
  };

  return async (collection, images) => {
    if (!batchNumbers.has(collection)) {
      batchNumbers.set(collection, 0);
      log.info(`Processing Collection: ${collection}`);
    }
    await write(collection, images);
  };
}
