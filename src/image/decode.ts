import sharp, { type Metadata, type Sharp, type SharpOptions } from 'sharp';

import { ImageError } from '../base/errors.ts';
import { decodeError } from './decode-error.ts';
import { cropWindow, firstPass, resizedSize, type Size } from './geometry.ts';
import type { Preprocessing, Resample } from './preprocessing.ts';
import { cutOut, resample, resampleTaps, type Raster } from './resample.ts';
import { sniffImageType } from './sniff.ts';

export interface DecodeOptions {
  /** More pixels than this (width · height, before decoding) are refused: `too_many_pixels`. */
  maxPixels?: number;
  signal?: AbortSignal | undefined;
}

const MAX_PIXELS = 100_000_000;

// A worker decodes many pictures at once, one thread each; what libvips would remember is never asked for again.
sharp.cache(false);
sharp.concurrency(1);

/** Up to here (some 1.5 ms of the calling thread) a picture is resized to the bit as PIL does, beyond it by libvips. */
const EXACT_TAPS = 400_000;

const SHARP_KERNEL = {
  nearest: 'nearest',
  bilinear: 'linear',
  bicubic: 'cubic',
  lanczos: 'lanczos3',
} as const;
const OPAQUE = { white: '#ffffff', black: '#000000' } as const;

/**
 * A picture file as a model's input: height · width · 3 bytes RGB, rows first, of `outputSize(preprocessing)`.
 * The numbers are those of PIL's `convert("RGB")`, `resize` and transformers' centre crop: colour profiles are not
 * applied, CMYK is converted without one, 16 bits are cut to their upper 8, of an animation the first frame is taken.
 * How near, and why so: docs/decisions/resize.md.
 * @throws ImageError `empty`, `not_an_image`, `unsupported_type`, `too_many_pixels`, `truncated`, `corrupt`
 */
export async function decodeImage(
  bytes: Uint8Array,
  preprocessing: Preprocessing,
  options: DecodeOptions = {},
): Promise<Uint8Array> {
  const { maxPixels = MAX_PIXELS, signal } = options;
  signal?.throwIfAborted();
  const type = sniffImageType(bytes);
  try {
    const metadata = await sharp(bytes, { limitInputPixels: false }).metadata();
    refuseTooLarge(metadata, maxPixels);
    const size = orientedSize(metadata, preprocessing.orient);
    const resized = resizedSize(size, preprocessing);
    const window = cropWindow(resized, preprocessing.crop);
    signal?.throwIfAborted();
    const source = await openAsRgb(bytes, metadata, { preprocessing, maxPixels });
    const isCheap = resampleTaps(size, resized, window, preprocessing.resample) <= EXACT_TAPS;
    const target = isCheap ? size : smaller(size, resized);
    const shrunk = await shrink(source, size, target, preprocessing.resample);
    signal?.throwIfAborted();
    const isDone = target.width === resized.width && target.height === resized.height;
    return isDone ? cutOut(shrunk, window) : resample(shrunk, resized, window, preprocessing.resample);
  } catch (error) {
    signal?.throwIfAborted();
    throw decodeError(error, bytes, type);
  }
}

function refuseTooLarge({ width, height }: Metadata, maxPixels: number): void {
  if (width * height <= maxPixels) return;
  const size = `${String(width)} x ${String(height)} pixels`;
  throw new ImageError(
    'too_many_pixels',
    `the image has ${size}, more than the ${String(maxPixels)} allowed`,
  );
}

function orientedSize({ width, height, orientation = 1 }: Metadata, orient: boolean): Size {
  return orient && orientation >= 5 ? { width: height, height: width } : { width, height };
}

function smaller(a: Size, b: Size): Size {
  return { width: Math.min(a.width, b.width), height: Math.min(a.height, b.height) };
}

/** A pipeline that yields the picture upright and without alpha; decoded in full only where libvips has no other way. */
async function openAsRgb(
  bytes: Uint8Array,
  metadata: Metadata,
  { preprocessing, maxPixels }: { preprocessing: Preprocessing; maxPixels: number },
): Promise<Sharp> {
  const options: SharpOptions = {
    failOn: 'truncated',
    limitInputPixels: maxPixels,
    autoOrient: preprocessing.orient,
    ignoreIcc: true,
  };
  const image = sharp(bytes, options);
  if (metadata.space === 'cmyk') {
    const { data, info } = await image
      .pipelineColourspace('cmyk')
      .toColourspace('cmyk')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return fromRaster({ data: cmykToRgb(data, info.channels), width: info.width, height: info.height });
  }
  if (!metadata.hasAlpha) return image;
  if (preprocessing.alpha !== 'drop') return image.flatten({ background: OPAQUE[preprocessing.alpha] });
  // While resizing, libvips weighs colours with their alpha. Dropping it means: take it away first.
  return fromRaster(await toRaster(image));
}

/**
 * Makes both axes at most as large as wanted. Never with the decoder's own scaling where that would show: see the
 * decision page for what each way costs and how near it comes.
 */
async function shrink(image: Sharp, size: Size, target: Size, kernel: Resample): Promise<Raster> {
  const first = { width: firstPass(size.width, target.width), height: firstPass(size.height, target.height) };
  const isSinglePass = first.width === target.width && first.height === target.height;
  if (isSinglePass) return toRaster(resize(image, target, SHARP_KERNEL[kernel]));
  const between = await toRaster(resize(image, first, 'cubic'));
  return toRaster(resize(fromRaster(between), target, SHARP_KERNEL[kernel]));
}

function resize(image: Sharp, size: Size, kernel: (typeof SHARP_KERNEL)[Resample]): Sharp {
  return image.resize({ ...size, fit: 'fill', kernel, fastShrinkOnLoad: false });
}

function fromRaster({ data, width, height }: Raster): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false });
}

async function toRaster(image: Sharp): Promise<Raster> {
  const { data, info } = await image
    .removeAlpha()
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const rgb = (info.channels as number) === 1 ? repeatGrey(data) : data;
  return { data: rgb, width: info.width, height: info.height };
}

function repeatGrey(grey: Uint8Array): Uint8Array {
  const out = new Uint8Array(grey.length * 3);
  for (let i = 0; i < grey.length; i += 1) out.fill(grey[i] ?? 0, i * 3, i * 3 + 3);
  return out;
}

/** As PIL does, profile or not: what each ink leaves of what black leaves. */
function cmykToRgb(inks: Uint8Array, channels: number): Uint8Array {
  const pixels = inks.length / channels;
  const out = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i += 1) {
    const light = 255 - (inks[i * channels + 3] ?? 0);
    for (let c = 0; c < 3; c += 1) {
      const product = (inks[i * channels + c] ?? 0) * light + 128;
      out[i * 3 + c] = light - ((product + (product >> 8)) >> 8);
    }
  }
  return out;
}
