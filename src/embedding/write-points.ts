import { StoreError, toHandlerError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { batches } from '../flow/streams.ts';
import type { Point, VectorStore } from '../qdrant/store.ts';
import type { EmbeddedImage, FailedImage } from './embedded-image.ts';
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
    /** Ends a while after the job is told to stop: what is under way is to be known, not cut off. */
    readonly lateSignal: AbortSignal;
  };
  log: Log;
}

/** A store that says these will say them of every point: no image is to blame. */
const HOPELESS = new Set([
  'qdrant_unauthorized',
  'qdrant_not_found',
  'qdrant_dimension_mismatch',
  'qdrant_full',
]);

/**
 * Writes points and tells of those that were acknowledged, request by request. A write that is refused is halved until
 * the refused points stand alone, and only those fail.
 * @throws StoreError when the store stayed away for all its patience, or refuses whatever it is given: then no image is
 * at fault, and the job is to end and run again.
 */
export function createPointWriter(
  options: PointWriterOptions,
): (collection: string, images: readonly EmbeddedImage[]) => Promise<void> {
  const { store, report, log } = options;
  const batchNumbers = new Map<string, number>();
  /** Points that the store takes at once: fewer than we like where it has a limit of its own, found by halving. */
  let most = Infinity;

  /** Resolves with whether all of them were taken. */
  const write = async (collection: string, points: ReadonlyMap<Point, ImageRef>): Promise<boolean> => {
    const all = [...points.keys()];
    const stored: Point[] = [];
    let failure: unknown;
    try {
      await store.upsert(collection, all, report.lateSignal, (some) => stored.push(...some));
    } catch (error) {
      failure = error;
    }
    if (failure === undefined) {
      await tell(collection, all, points);
      return true;
    }
    if (stored.length > 0) await tell(collection, stored, points);
    const error = toHandlerError(failure);
    if (error.retryable || !(error instanceof StoreError) || HOPELESS.has(error.code)) throw error;
    const acknowledged = new Set(stored);
    const refused = [...points].filter(([point]) => !acknowledged.has(point));
    const [only] = refused;
    if (refused.length === 1 && only !== undefined) {
      report.failed({ ref: only[1], error });
      return false;
    }
    const half = Math.ceil(refused.length / 2);
    const first = await write(collection, new Map(refused.slice(0, half)));
    const second = await write(collection, new Map(refused.slice(half)));
    // No point was to blame: it was too many.
    if (first && second && stored.length === 0) most = Math.min(most, half);
    return first && second;
  };

  const tell = async (
    collection: string,
    stored: readonly Point[],
    points: ReadonlyMap<Point, ImageRef>,
  ): Promise<void> => {
    const batch = (batchNumbers.get(collection) ?? 0) + 1;
    batchNumbers.set(collection, batch);
    log.info(`[${collection}] Batch ${batch}: Upserted ${stored.length} points`);
    await report.written(
      collection,
      stored.flatMap((point) => points.get(point) ?? []),
    );
  };

  return async (collection, images) => {
    if (!batchNumbers.has(collection)) {
      batchNumbers.set(collection, 0);
      log.info(`Processing Collection: ${collection}`);
    }
    const pointOf = ({ ref, vector, content }: EmbeddedImage): Point => ({
      id: ref.pointId,
      vector,
      payload: payloadOf(ref, { model: options.model, jobId: options.jobId, content }),
    });
    for await (const part of batches(images, most)) {
      await write(collection, new Map(part.map((image) => [pointOf(image), image.ref])));
    }
  };
}
