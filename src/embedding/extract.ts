import { ImageError, StoppedError, toHandlerError, type HandlerError } from '../base/errors.ts';
import { batches, mapConcurrent, type Source } from '../flow/streams.ts';
import type { Decode } from '../image/decode.ts';
import type { ImageSource } from '../image/source.ts';
import type { EmbeddingModel } from '../model/embedding-model.ts';
import type { ImageRef } from './image-ref.ts';

/** An image with its vector, ready to be written. */
export interface EmbeddedImage {
  ref: ImageRef;
  /** L2-normalised, `model.dim` long. */
  vector: Float32Array;
  /** sha256 of the image's bytes, hex. */
  content: string;
}

/** An image that could not be had. It fails alone: nothing else is held up or lost by it. */
export interface FailedImage {
  ref: ImageRef;
  error: HandlerError;
}

export interface ExtractOptions {
  images: Source<ImageRef>;
  /** Addresses for images in Supabase storage, in the order asked: made in batches, just before use. */
  sign: (refs: readonly ImageRef[], signal: AbortSignal) => Promise<(string | HandlerError)[]>;
  source: ImageSource;
  decode: Decode;
  model: EmbeddingModel;
  /** Writes images of one collection; resolves when the store has acknowledged what it took. */
  write: (collection: string, images: readonly EmbeddedImage[]) => Promise<void>;
  fail: (failed: FailedImage) => void;
  limits: ExtractLimits;
  signal: AbortSignal;
}

/** How much of each stage runs at once; with the stages' own queues of one, this bounds what is held in memory. */
export interface ExtractLimits {
  downloads: number;
  decoders: number;
  /** Batches handed to the model's thread at once: one running, the next one waiting. */
  inference: number;
  writes: number;
  /** Points in one write. */
  writeSize: number;
}

const SIGN_BATCH = 64;

/**
 * The pipeline: address, download, decode, embed, write. The stages overlap and each is bounded, so that the slowest
 * one holds all before it back, up to the reader of the database's pages. Resolves when every image was written or
 * failed. What concerns no single image ends it, as does the caller's signal: every stage is told at once, the writes
 * under way end as they may, and it rejects with the reason.
 */
export async function extract(options: ExtractOptions): Promise<void> {
  const stop = new AbortController();
  const onAbort = (): void => {
    stop.abort(options.signal.reason);
  };
  if (options.signal.aborted) onAbort();
  else options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await run({ ...options, signal: stop.signal }, stop);
  } catch (error) {
    stop.signal.throwIfAborted();
    throw error;
  } finally {
    options.signal.removeEventListener('abort', onAbort);
  }
}

async function run(options: ExtractOptions, stop: AbortController): Promise<void> {
  const { limits, signal } = options;
  const all = { signal };
  const end = (error: unknown): never => {
    stop.abort(error);
    throw error;
  };
  const addressed = withAddresses(options, end);
  const downloaded = mapConcurrent(addressed, limits.downloads, alone(options, download), all);
  const decoded = mapConcurrent(present(downloaded), limits.decoders, alone(options, decode), all);
  const grouped = batches(present(decoded), options.model.batchSize);
  const embedded = mapConcurrent(
    grouped,
    limits.inference,
    (images) => embed(options, images).catch(end),
    all,
  );
  const written = mapConcurrent(
    byCollection(embedded, limits.writeSize),
    limits.writes,
    ({ collection, images }) => options.write(collection, images).then(() => null, end),
    all,
  );
  for await (const _ of written);
}

interface Addressed {
  ref: ImageRef;
  address: string;
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

async function* withAddresses(
  options: ExtractOptions,
  end: (error: unknown) => never,
): AsyncGenerator<Addressed> {
  try {
    for await (const refs of batches(options.images, SIGN_BATCH)) yield* addressesOf(options, refs);
  } catch (error) {
    end(error);
  }
}

async function* addressesOf(options: ExtractOptions, refs: readonly ImageRef[]): AsyncGenerator<Addressed> {
  const stored = refs.filter((ref) => ref.storage !== null);
  const signed = stored.length === 0 ? [] : await signAll(options, stored);
  const addresses = new Map(stored.map((ref, i) => [ref, signed[i]]));
  for (const ref of refs) {
    const address = ref.storage === null ? ref.url : addresses.get(ref);
    if (typeof address === 'string') yield { ref, address };
    else {
      const error = address ?? new ImageError('storage_not_found', `no address for ${ref.url}`);
      options.fail({ ref, error });
    }
  }
}

/** A storage that refuses to sign fails its own pictures, and the others are none the worse; one that is away, all. */
async function signAll(
  { sign, signal }: ExtractOptions,
  refs: readonly ImageRef[],
): Promise<(string | HandlerError)[]> {
  try {
    return await sign(refs, signal);
  } catch (error) {
    signal.throwIfAborted();
    const failure = toHandlerError(error);
    if (failure.retryable) throw failure;
    return refs.map(() => failure);
  }
}

async function download(
  { source, signal }: ExtractOptions,
  { ref, address }: Addressed,
): Promise<Downloaded> {
  const { bytes, contentHash } = await source.read(address, signal);
  return { ref, bytes, content: contentHash };
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
      error: new ImageError('not_finite', `the model gave a vector with NaN or infinity for ${ref.id}`),
    });
    return [];
  });
}

/** Runs a stage for one image: what goes wrong fails this image, and a stop stops all. */
function alone<A extends { ref: ImageRef }, B>(
  options: ExtractOptions,
  stage: (options: ExtractOptions, image: A) => Promise<B>,
): (image: A) => Promise<B | null> {
  return async (image) => {
    try {
      return await stage(options, image);
    } catch (error) {
      options.signal.throwIfAborted();
      if (error instanceof StoppedError) throw error;
      options.fail({ ref: image.ref, error: toHandlerError(error) });
      return null;
    }
  };
}

async function* present<T>(source: AsyncIterable<T | null>): AsyncGenerator<T> {
  for await (const item of source) if (item !== null) yield item;
}

/** One write's worth of images of one collection, full but for the last of each. Holds a few writes at the most. */
async function* byCollection(
  source: AsyncIterable<EmbeddedImage[]>,
  size: number,
): AsyncGenerator<{ collection: string; images: EmbeddedImage[] }> {
  const waiting = new Map<string, EmbeddedImage[]>();
  let held = 0;
  const take = (collection: string): { collection: string; images: EmbeddedImage[] } => {
    const images = waiting.get(collection) ?? [];
    waiting.delete(collection);
    held -= images.length;
    return { collection, images };
  };
  for await (const images of source) {
    for (const image of images) {
      const { collection } = image.ref;
      const same = waiting.get(collection) ?? [];
      waiting.set(collection, same);
      held += same.push(image) > 0 ? 1 : 0;
      if (same.length >= size) yield take(collection);
      // A job may name many collections: the fullest goes out early rather than all being held.
      else if (held >= size * MAX_WAITING_WRITES) yield take(fullest(waiting));
    }
  }
  for (const collection of [...waiting.keys()]) yield take(collection);
}

const MAX_WAITING_WRITES = 4;

function fullest(waiting: ReadonlyMap<string, readonly unknown[]>): string {
  return [...waiting].reduce((a, b) => (b[1].length > a[1].length ? b : a))[0];
}
