import { HandlerError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { storageOf } from '../job/stored-file.ts';
import type { EmbeddedImage, FailedImage } from './embedded-image.ts';
import type { ImageRef } from './image-ref.ts';
import type { LegacyImage } from './input.ts';
import type { JobPerformance, JobStats } from './job-stats.ts';
import { createTally, type Failure } from './tally.ts';

/** One image's vector, with whatever the caller sent along with the image. */
export interface StatelessEmbedding {
  id: string;
  type: 'product' | 'cutout';
  domain: string;
  vector: number[];
  [passedThrough: string]: unknown;
}

export interface StatelessOutput {
  status: 'success' | 'cancelled' | 'error';
  /** In the order of the images, without the failed ones. */
  embeddings: StatelessEmbedding[];
  /** Ids of the images that have no embedding, in their order. */
  failed_ids: string[];
  processed_count: number;
  /** Images that were not fetched: another one had their url. */
  same_url_count: number;
  failed_count: number;
  total_images: number;
  embedding_dim: number;
  model: string;
  failed_images: readonly Failure[];
  failed_by_code: Readonly<Record<string, number>>;
  performance: JobPerformance;
  error?: string;
  error_code?: string;
}

/** Where the extraction of a stateless job writes to: the output, and nothing else. */
export interface StatelessSink {
  images: ImageRef[];
  write: (collection: string, images: readonly EmbeddedImage[]) => Promise<void>;
  fail: (failed: FailedImage) => void;
  repeated: (images: number) => void;
  unchanged: () => Promise<void>;
  output: (model: { dim: number; fingerprint: string }, status?: 'cancelled') => StatelessOutput;
}

/** Keys of an image that say where it is, and are no news to the caller. */
const NOT_PASSED_ON = new Set(['url', 'collection', 'metadata']);
const DEFAULT_DOMAIN = { product: 'synthetic', cutout: 'real' } as const;

export function createStatelessSink(
  images: readonly LegacyImage[],
  { stats, log }: { stats: JobStats; log: Log },
): StatelessSink {
  const tally = createTally();
  const vectors = new Map<ImageRef, Float32Array>();
  const failed = new Set<ImageRef>();
  const refs = images.map((image, i): ImageRef => {
    const { id, url, type } = image;
    return { id, pointId: i, collection: '', type, url, storage: storageOf(url), metadata: {} };
  });
  tally.expect('', refs.length);
  return {
    images: refs,
    write(_, embedded) {
      for (const { ref, vector } of embedded) vectors.set(ref, vector);
      tally.written(
        '',
        embedded.map(({ ref }) => ref),
      );
      return Promise.resolve();
    },
    fail(image) {
      failed.add(image.ref);
      tally.failedWith(image);
    },
    repeated: tally.repeated,
    // No image comes with a point.
    unchanged: () => Promise.resolve(),
    output(model, status) {
      const error =
        vectors.size === 0 && failed.size > 0
          ? new HandlerError(
              'all_images_failed',
              `all ${failed.size} images failed: ${tally.failures[0]?.message ?? ''}`,
            )
          : undefined;
      return {
        status: status ?? (error === undefined ? 'success' : 'error'),
        embeddings: refs.flatMap((ref, i) => embeddingOf(images[i], vectors.get(ref))),
        failed_ids: refs.filter((ref) => failed.has(ref)).map(({ id }) => id),
        processed_count: tally.processed,
        same_url_count: tally.sameUrlCount,
        failed_count: tally.failed,
        total_images: tally.total,
        embedding_dim: model.dim,
        model: model.fingerprint,
        failed_images: tally.failures,
        failed_by_code: tally.failedByCode,
        performance: stats.tell(tally.processed, log),
        ...(error === undefined ? {} : { error: error.message, error_code: error.code }),
      };
    },
  };
}

function embeddingOf(image: LegacyImage | undefined, vector: Float32Array | undefined): StatelessEmbedding[] {
  if (image === undefined || vector === undefined) return [];
  const passed = Object.entries(image).filter(([key]) => !NOT_PASSED_ON.has(key));
  return [
    {
      domain: DEFAULT_DOMAIN[image.type],
      ...Object.fromEntries(passed),
      id: image.id,
      type: image.type,
      vector: Array.from(vector),
    },
  ];
}
