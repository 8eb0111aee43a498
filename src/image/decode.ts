import type { Metadata } from 'sharp';

import { ImageError } from '../base/errors.ts';
import { createBudget, type Budget } from '../flow/budget.ts';
import { abortable } from '../flow/time.ts';
import { decodeError } from './decode-error.ts';
import { cropWindow, middleWindow, resizedSize, type Size, type Window } from './geometry.ts';
import { heldBytes } from './held-bytes.ts';
import { isCopied, openAsRgb, readHeader, shrink } from './open.ts';
import type { Preprocessing } from './preprocessing.ts';
import { cutOut, resample, resampleTaps, type Raster } from './resample.ts';
import { sniffImageType, type ImageType } from './sniff.ts';

export interface DecodeLimits {
  /** More pixels than this (width · height, before decoding) are refused: `too_many_pixels`. */
  maxPixels?: number;
  /** Memory of all pictures that are being decoded at once, in bytes. A larger one is decoded alone. */
  maxBytesAtOnce?: number;
  /** After this a picture is given up: `decode_timeout`. The time it waits for its turn is not counted. */
  timeoutMs?: number;
}

/**
 * A picture file as a model's input: height · width · 3 bytes RGB, rows first, of `outputSize(preprocessing)`.
 * Rejects with an ImageError `empty`, `not_an_image`, `unsupported_type`, `too_many_pixels`, `truncated`, `corrupt`,
 * `decode_timeout`, or with the signal's reason.
 */
export type Decode = (
  bytes: Uint8Array,
  preprocessing: Preprocessing,
  signal?: AbortSignal,
) => Promise<Uint8Array>;

interface WholeOptions {
  preprocessing: Preprocessing;
  /** Of the longer edge to the shorter one; of a longer picture the middle is kept. */
  maxAspect: number;
  signal?: AbortSignal | undefined;
}

/**
 * A picture file resized as for a model and not yet cropped, so that random crops have room. The model's own centre
 * crop of it gives the same bytes as `Decode`. Rejects as `Decode` does.
 */
export type DecodeWhole = (bytes: Uint8Array, options: WholeOptions) => Promise<Raster>;

const MAX_PIXELS = 100_000_000;
/** Only PNG and TIFF have longer sides at all. libvips needs memory for whole rows: 1.4 GB for four of 16 million. */
const MAX_SIDE = 262_144;
const MAX_BYTES_AT_ONCE = 1024 ** 3;
/** The slowest honest file, 100 megapixels of AVIF, takes some 4 s on an idle core. */
const TIMEOUT_MS = 60_000;

/** Up to here (some 1.5 ms of the calling thread) a picture is resized to the bit as PIL does, beyond it by libvips. */
const EXACT_TAPS = 400_000;

/**
 * A decoder whose calls share one bound on memory: many small pictures at once, large ones one after another.
 * The numbers are those of PIL's `convert("RGB")`, `resize` and transformers' centre crop: colour profiles are not
 * applied, CMYK is converted without one, 16 bits are cut to their upper 8, of an animation the first frame is taken.
 * How near, and why so: docs/decisions/resize.md. What hostile files meet: docs/decisions/hostile-files.md.
 */
export function createDecoder(limits: DecodeLimits = {}): Decode {
  const decode = createRasterDecoder(limits);
  return async (bytes, preprocessing, signal) => {
    const windowOf = (resized: Size): Window => cropWindow(resized, preprocessing.crop);
    return (await decode(bytes, { preprocessing, windowOf, signal })).data;
  };
}

/** The same for whole pictures. */
export function createWholeDecoder(limits: DecodeLimits = {}): DecodeWhole {
  const decode = createRasterDecoder(limits);
  return (bytes, { maxAspect, ...options }) =>
    decode(bytes, { ...options, windowOf: (resized) => middleWindow(resized, maxAspect) });
}

interface RasterOptions {
  preprocessing: Preprocessing;
  /** What is kept of the resized picture. */
  windowOf: (resized: Size) => Window;
  signal?: AbortSignal | undefined;
}

function createRasterDecoder(
  limits: DecodeLimits,
): (bytes: Uint8Array, options: RasterOptions) => Promise<Raster> {
  const { maxPixels = MAX_PIXELS, maxBytesAtOnce = MAX_BYTES_AT_ONCE, timeoutMs = TIMEOUT_MS } = limits;
  const memory = createBudget(maxBytesAtOnce);
  return async (bytes, options) => {
    const { signal } = options;
    signal?.throwIfAborted();
    const type = sniffImageType(bytes);
    try {
      const metadata = await abortable(readHeader(bytes), signal);
      refuseMisnamed(metadata, type);
      refuseTooLarge(metadata, maxPixels);
      const needed = heldBytes(metadata, type, isCopied(metadata, options.preprocessing));
      const work = (): Promise<Raster> => decodeRaw(bytes, metadata, { ...options, maxPixels, timeoutMs });
      return await withMemory({ memory, needed, work, timeoutMs, signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw decodeError(error, bytes, type);
    }
  };
}

/** One decoder for callers that decode a few pictures of their own. */
export function decodeImage(
  bytes: Uint8Array,
  preprocessing: Preprocessing,
  options: { maxPixels?: number; signal?: AbortSignal } = {},
): Promise<Uint8Array> {
  const { signal, ...limits } = options;
  return createDecoder(limits)(bytes, preprocessing, signal);
}

interface Work {
  memory: Budget;
  needed: number;
  work: () => Promise<Raster>;
  timeoutMs: number;
  signal: AbortSignal | undefined;
}

/** Whoever waits is let go when the time is over; the memory counts as taken for as long as the decoder really holds it. */
async function withMemory({ memory, needed, work, timeoutMs, signal }: Work): Promise<Raster> {
  const giveBack = await memory.take(needed, signal);
  const working = work().finally(giveBack);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const seconds = String(timeoutMs / 1_000);
    reject(new ImageError('decode_timeout', `decoding the image took longer than ${seconds} seconds`));
  }, timeoutMs);
  try {
    return await abortable(Promise.race([working, late]), signal);
  } finally {
    clearTimeout(timer);
  }
}

interface RawOptions extends RasterOptions {
  maxPixels: number;
  timeoutMs: number;
}

async function decodeRaw(
  bytes: Uint8Array,
  metadata: Metadata,
  { preprocessing, windowOf, maxPixels, timeoutMs, signal }: RawOptions,
): Promise<Raster> {
  const size = orientedSize(metadata, preprocessing.orient);
  const resized = resizedSize(size, preprocessing);
  const window = windowOf(resized);
  // Later than our own clock, which says what happened; this one only ends work that nobody waits for.
  const timeoutSeconds = Math.ceil(timeoutMs / 1_000) + 1;
  const source = await openAsRgb(bytes, metadata, { preprocessing, maxPixels, timeoutSeconds });
  signal?.throwIfAborted();
  // By the model's own crop, whatever is kept: the same way for the same picture gives the same bytes.
  const cropped = cropWindow(resized, preprocessing.crop);
  const isCheap = resampleTaps(size, resized, cropped, preprocessing.resample) <= EXACT_TAPS;
  const target = isCheap ? size : smaller(size, resized);
  const shrunk = await shrink(source, size, target, preprocessing.resample);
  signal?.throwIfAborted();
  const isDone = target.width === resized.width && target.height === resized.height;
  const data = isDone ? cutOut(shrunk, window) : resample(shrunk, resized, window, preprocessing.resample);
  return { data, width: window.width, height: window.height };
}

/** What libvips took the file for must be what it was let through as: no other of its loaders is meant to run. */
function refuseMisnamed({ format }: Metadata, type: ImageType): void {
  const expected = type === 'avif' ? 'heif' : type;
  if (format === expected) return;
  throw new ImageError('unsupported_type', `the file pretends to be of type ${type} and is not`);
}

function refuseTooLarge({ width, height }: Metadata, maxPixels: number): void {
  const size = `${String(width)} x ${String(height)} pixels`;
  const isLong = Math.max(width, height) > MAX_SIDE;
  if (!isLong && width * height <= maxPixels) return;
  const allowed = isLong ? `${String(MAX_SIDE)} allowed on a side` : `${String(maxPixels)} allowed`;
  throw new ImageError('too_many_pixels', `the image has ${size}, more than the ${allowed}`);
}

function orientedSize({ width, height, orientation = 1 }: Metadata, orient: boolean): Size {
  return orient && orientation >= 5 ? { width: height, height: width } : { width, height };
}

function smaller(a: Size, b: Size): Size {
  return { width: Math.min(a.width, b.width), height: Math.min(a.height, b.height) };
}
