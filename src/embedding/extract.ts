import { ImageError, StoppedError, toHandlerError } from '../base/errors.ts';
import {
  batches,
  mapConcurrent,
  merge,
  metered,
  until,
  type MapOptions,
  type Source,
} from '../flow/streams.ts';
import type { Decode } from '../image/decode.ts';
import type { ImageSource } from '../image/source.ts';
import type { EmbeddingModel } from '../model/embedding-model.ts';
import { withAddresses, type AddressedImage, type AddressOptions } from './addresses.ts';
import { byCollection } from './by-collection.ts';
import type { EmbeddedImage, FailedImage } from './embedded-image.ts';
import type { ImageRef } from './image-ref.ts';
import type { JobStats, StageName } from './job-stats.ts';
import { createSameUrls, type SameUrls } from './same-url.ts';

export interface ExtractOptions {
  images: Source<ImageRef>;
  sign: AddressOptions['sign'];
  source: ImageSource;
  decode: Decode;
  model: EmbeddingModel;
  /** Writes images of one collection; resolves when the store has acknowledged what it took. */
  write: (collection: string, images: readonly EmbeddedImage[]) => Promise<void>;
  fail: (failed: FailedImage) => void;
  /** Told of images whose point was made of the bytes that they still have: they go no further. Never rejects. */
  unchanged: (images: readonly ImageRef[]) => Promise<void>;
  /** Told of images that were not fetched, as another one had their url: they are written, or fail, with that one. */
  repeated: (images: number) => void;
  /** Told how the stages spend their time, and what comes over the network. */
  stats: Pick<JobStats, 'meter' | 'downloaded' | 'retried'>;
  limits: ExtractLimits;
  /** Ends all at once. */
  signal: AbortSignal;
  /** From its abort on nothing more is read or fetched; what was fetched already goes through to its end. */
  drain: AbortSignal;
}

/** How much of each stage runs at once; with the stages' own queues of one, this bounds what is held in memory. */
export interface ExtractLimits {
  downloads: number;
  decoders: number;
  writes: number;
  /** Points in one write. */
  writeSize: number;
  /** Urls whose vector is kept for images that have the same one; 10,000 by default. */
  urls?: number;
}

/** One is run, the next one waits in the session's thread. */
const BATCHES_PER_SESSION = 2;

/**
 * The pipeline: address, download, decode, embed, write; a url that comes again is answered with what it came to. The
 * stages overlap and each is bounded, so that the slowest one holds all before it back, up to the reader of the
 * database's pages. Resolves when every image was written or failed. What concerns no single image ends it, as does the
 * caller's signal: every stage is told at once, the writes under way end as they may, and it rejects with the reason.
 * After `drain` it rejects with that one's reason, when all that had been fetched is written or failed.
 */
export async function extract(options: ExtractOptions): Promise<void> {
  const stop = new AbortController();
  const onAbort = (): void => {
    stop.abort(options.signal.reason);
  };
  if (options.signal.aborted) onAbort();
  else options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    // One for a whole job, so that nothing gathers on its signals.
    const intake = AbortSignal.any([stop.signal, options.drain]);
    await run({ ...options, signal: stop.signal, intake }, stop);
    intake.throwIfAborted();
  } catch (error) {
    stop.signal.throwIfAborted();
    throw error;
  } finally {
    options.stats.meter.stop();
    options.signal.removeEventListener('abort', onAbort);
  }
}

interface Running extends ExtractOptions {
  /** Aborts when nothing more is to be read or fetched. */
  intake: AbortSignal;
}

async function run(options: Running, stop: AbortController): Promise<void> {
  const { limits, signal, model } = options;
  const { meter } = options.stats;
  const sessions = model.sizes.sessions.value;
  const stage = (name: StageName, places: number): MapOptions => ({
    signal,
    gauge: meter.stage(name, places),
  });
  const listing = meter.stage('list', 1);
  const end = (error: unknown): never => {
    stop.abort(error);
    throw error;
  };
  const urls = createSameUrls({ ...options, dim: model.dim, window: limits.urls });
  const stages = { ...options, fail: urls.failed };
  const addressed = metered(toFetch(stages, urls, end), listing);
  const downloaded = mapConcurrent(
    addressed,
    limits.downloads,
    alone(stages, download(urls)),
    stage('download', limits.downloads),
  );
  const decoded = mapConcurrent(
    present(downloaded),
    limits.decoders,
    alone(stages, decode),
    stage('decode', limits.decoders),
  );
  const grouped = batches(present(decoded), model.batchSize);
  const embedded = mapConcurrent(
    grouped,
    sessions * BATCHES_PER_SESSION,
    (images) => embed(stages, images).then(urls.embedded).catch(end),
    stage('embed', sessions),
  );
  const written = mapConcurrent(
    byCollection(merge([embedded, urls.answered], { signal }), limits.writeSize),
    limits.writes,
    ({ collection, images }) => options.write(collection, images).then(() => null, end),
    stage('write', limits.writes),
  );
  for await (const _ of written);
}

/** What is to be fetched, until nothing more is to be read. What goes wrong here concerns no single image. */
async function* toFetch(
  options: Running,
  urls: SameUrls,
  end: (error: unknown) => never,
): AsyncGenerator<AddressedImage> {
  const { images, intake } = options;
  try {
    yield* until(withAddresses(urls.firsts(images), { ...options, signal: intake }), intake);
  } catch (error) {
    end(error);
  } finally {
    urls.close();
  }
}

interface Downloaded {
  ref: ImageRef;
  bytes: Uint8Array;
  content: string;
}

interface Decoded {
  ref: ImageRef;
  pixels: Uint8Array;
  content: string;
}

/** Null where the bytes are what all points that they are for were made of. */
function download(urls: SameUrls): Stage<AddressedImage, Downloaded> {
  return async ({ source, intake, stats }, { ref: asked, address }) => {
    const { bytes, contentHash: content } = await source.read(address, intake, () => {
      stats.retried('images');
    });
    stats.downloaded(bytes.byteLength);
    const ref = await urls.fetched(asked, content);
    return ref && { ref, bytes, content };
  };
}

async function decode(options: ExtractOptions, { ref, bytes, content }: Downloaded): Promise<Decoded> {
  return { ref, pixels: await options.decode(bytes, options.model.preprocessing, options.signal), content };
}

async function embed({ model, fail }: ExtractOptions, images: readonly Decoded[]): Promise<EmbeddedImage[]> {
  const frame = images[0]?.pixels.byteLength ?? 0;
  const pixels = new Uint8Array(frame * images.length);
  for (const [i, image] of images.entries()) pixels.set(image.pixels, i * frame);
  const vectors = await model.embed(pixels, images.length);
  return images.flatMap(({ ref, content }, i) => {
    const vector = vectors.slice(i * model.dim, (i + 1) * model.dim);
    if (vector.every(Number.isFinite)) return [{ ref, vector, content }];
    fail({
      ref,
      error: new ImageError('not_finite', 'the model gave a vector with NaN or infinity for this image'),
    });
    return [];
  });
}

/** What is done with one image; null: it goes no further. */
type Stage<A, B> = (options: Running, image: A) => Promise<B | null>;

/** Runs a stage for one image: what goes wrong fails this image, and a stop stops all. */
function alone<A extends { ref: ImageRef }, B>(
  options: Running,
  stage: Stage<A, B>,
): (image: A) => Promise<B | null> {
  return async (image) => {
    try {
      return await stage(options, image);
    } catch (error) {
      options.signal.throwIfAborted();
      // Not fetched, and nobody's fault: left for the job's next run.
      if (options.intake.aborted && error === options.intake.reason) return null;
      if (error instanceof StoppedError) throw error;
      options.fail({ ref: image.ref, error: toHandlerError(error) });
      return null;
    }
  };
}

async function* present<T>(source: AsyncIterable<T | null>): AsyncGenerator<T> {
  for await (const item of source) if (item !== null) yield item;
}
