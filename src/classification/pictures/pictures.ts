import { ImageError, StoppedError, toHandlerError, type HandlerError } from '../../base/errors.ts';
import { retry } from '../../flow/retry.ts';
import { batches, mapConcurrent } from '../../flow/streams.ts';
import type { DecodeWhole } from '../../image/decode.ts';
import type { Preprocessing } from '../../image/preprocessing.ts';
import type { ImageSource } from '../../image/source.ts';
import { signImages, type SignPaths } from '../../job/sign.ts';
import type { Sample } from '../sample.ts';
import type { Frame, FrameFile } from './frame-file.ts';

/** The pictures of a dataset, each fetched and decoded once, however many images and epochs show it. */
export interface Pictures {
  /** The decoded picture; undefined as long as it was not loaded, and for one that could not be had. */
  frameOf(sample: Sample): Frame | undefined;
  /** Why it could not be had. */
  failureOf(sample: Sample): HandlerError | undefined;
  /**
   * Fetches and decodes what is not there yet. A picture that cannot be had fails alone.
   * @throws what concerns no single picture: a full disk, a storage that is away, the signal's reason.
   */
  load(samples: readonly Sample[], onDone?: () => void): Promise<void>;
}

export interface PicturesOptions {
  frames: FrameFile;
  sign: SignPaths;
  /** One try of one picture, with its own time limit. */
  source: ImageSource;
  decode: DecodeWhole;
  preprocessing: Preprocessing;
  limits: PictureLimits;
  signal: AbortSignal;
}

export interface PictureLimits {
  downloads: number;
  decoders: number;
  /** Tries of a download, the first included. */
  attempts: number;
  retryDelayMs: number;
}

/** Of the longer edge to the shorter one: beyond it random crops are taken from the middle. */
export const MAX_ASPECT = 1.5;
/** Waits between tries grow to this at most. */
const MAX_RETRY_DELAY_MS = 60_000;
const SIGN_BATCH = 64;

export function createPictures(options: PicturesOptions): Pictures {
  const { frames, limits, signal } = options;
  const failures = new Map<string, HandlerError>();
  /** By url: several images may show one picture. */
  const loading = new Map<string, Promise<void>>();

  const alone = async <T>({ url }: Sample, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof StoppedError) throw error;
      failures.set(url, toHandlerError(error));
      return null;
    }
  };

  const download = ({ sample, address }: Addressed) =>
    alone(sample, async () => {
      const { bytes, contentHash } = await retry(() => options.source.read(address, signal), {
        attempts: limits.attempts,
        baseDelayMs: limits.retryDelayMs,
        maxDelayMs: MAX_RETRY_DELAY_MS,
        signal,
      });
      return { sample, bytes, content: contentHash };
    });

  const decode = async (downloaded: Downloaded | null): Promise<Sample | null> => {
    if (downloaded === null) return null;
    const { sample, bytes, content } = downloaded;
    const { preprocessing } = options;
    const picture = await alone(sample, () =>
      options.decode(bytes, { preprocessing, maxAspect: MAX_ASPECT, signal }),
    );
    if (picture !== null) await frames.add(sample.url, picture, content);
    return sample;
  };

  const fetchAll = async (samples: readonly Sample[], onDone: () => void): Promise<void> => {
    const addressed = withAddresses(samples, options, (sample, error) => failures.set(sample.url, error));
    const downloaded = mapConcurrent(addressed, limits.downloads, download, { signal });
    const decoded = mapConcurrent(downloaded, limits.decoders, decode, { signal });
    for await (const _ of decoded) onDone();
  };

  return {
    frameOf: ({ url }) => frames.get(url),
    failureOf: ({ url }) => failures.get(url),
    async load(samples, onDone = () => undefined) {
      const missing = new Map<string, Sample>();
      for (const sample of samples) {
        const { url } = sample;
        if (frames.get(url) !== undefined || failures.has(url)) onDone();
        else if (!loading.has(url)) missing.set(url, sample);
      }
      if (missing.size > 0) {
        const fetching = fetchAll([...missing.values()], onDone).finally(() => {
          for (const url of missing.keys()) loading.delete(url);
        });
        for (const url of missing.keys()) loading.set(url, fetching);
      }
      await Promise.all(new Set(samples.flatMap(({ url }) => loading.get(url) ?? [])));
    },
  };
}

interface Addressed {
  sample: Sample;
  address: string;
}

interface Downloaded {
  sample: Sample;
  bytes: Uint8Array;
  content: string;
}

/** Addresses of stored pictures are made in batches, just before use. */
async function* withAddresses(
  samples: readonly Sample[],
  { sign, signal }: PicturesOptions,
  fail: (sample: Sample, error: HandlerError) => void,
): AsyncGenerator<Addressed> {
  for await (const some of batches(samples, SIGN_BATCH)) {
    const stored = some.filter(({ storage }) => storage !== null);
    const signed = stored.length === 0 ? [] : await signAll(stored, sign, signal);
    const addresses = new Map(stored.map((sample, i) => [sample, signed[i]]));
    for (const sample of some) {
      const address = sample.storage === null ? sample.url : addresses.get(sample);
      if (typeof address === 'string') yield { sample, address };
      else fail(sample, address ?? new ImageError('storage_not_found', `no address for ${sample.url}`));
    }
  }
}

/** A storage that refuses to sign fails its own pictures; one that is away, all. */
async function signAll(
  samples: readonly Sample[],
  sign: SignPaths,
  signal: AbortSignal,
): Promise<(string | HandlerError)[]> {
  try {
    return await signImages(sign)(samples, signal);
  } catch (error) {
    signal.throwIfAborted();
    const failure = toHandlerError(error);
    if (failure.retryable) throw failure;
    return samples.map(() => failure);
  }
}
