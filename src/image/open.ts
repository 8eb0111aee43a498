import '../base/thread-pool.ts';

import sharp, { type Metadata, type Sharp, type SharpOptions } from 'sharp';

import { cmykToRgb, repeatGrey } from './colours.ts';
import { firstPass, type Size } from './geometry.ts';
import type { Preprocessing, Resample } from './preprocessing.ts';
import type { Raster } from './resample.ts';

// A worker decodes many pictures at once, one thread each; what libvips would remember is never asked for again.
sharp.cache(false);
sharp.concurrency(1);

const SHARP_KERNEL = {
  nearest: 'nearest',
  bilinear: 'linear',
  bicubic: 'cubic',
  lanczos: 'lanczos3',
} as const;
const OPAQUE = { white: '#ffffff', black: '#000000' } as const;

/** What a file says of itself in its header. Nothing is decoded, and nothing is refused for its size yet. */
export function readHeader(bytes: Uint8Array): Promise<Metadata> {
  return sharp(bytes, { limitInputPixels: false }).metadata();
}

/** Must the whole picture be held as raw pixels before it can be resized? */
export function isCopied({ space, hasAlpha }: Metadata, { alpha }: Preprocessing): boolean {
  return space === 'cmyk' || (hasAlpha && alpha === 'drop');
}

export interface OpenOptions {
  preprocessing: Preprocessing;
  maxPixels: number;
  /** Where libvips can be interrupted, it stops by itself after this. */
  timeoutSeconds: number;
}

/** A pipeline that yields the picture upright and without alpha; decoded in full only where libvips has no other way. */
export async function openAsRgb(
  bytes: Uint8Array,
  metadata: Metadata,
  { preprocessing, maxPixels, timeoutSeconds }: OpenOptions,
): Promise<Sharp> {
  const options: SharpOptions = {
    failOn: 'error',
    limitInputPixels: maxPixels,
    autoOrient: preprocessing.orient,
    ignoreIcc: true,
  };
  const image = sharp(bytes, options).timeout({ seconds: timeoutSeconds });
  if (metadata.space === 'cmyk') {
    const { data, info } = await image
      .pipelineColourspace('cmyk')
      .toColourspace('cmyk')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return fromRaw({ data: await cmykToRgb(data, info.channels), size: info, channels: 3 });
  }
  if (!metadata.hasAlpha) return image;
  if (preprocessing.alpha !== 'drop') return image.flatten({ background: OPAQUE[preprocessing.alpha] });
  // While resizing, libvips weighs colours with their alpha. Dropping it means: take it away first.
  return fromRaw(await toRaw(image));
}

/**
 * Makes both axes at most as large as wanted. Never with the decoder's own scaling where that would show: see the
 * decision page for what each way costs and how near it comes.
 */
export async function shrink(image: Sharp, size: Size, target: Size, kernel: Resample): Promise<Raster> {
  const first = { width: firstPass(size.width, target.width), height: firstPass(size.height, target.height) };
  const isSinglePass = first.width === target.width && first.height === target.height;
  const source = isSinglePass ? image : fromRaw(await toRaw(resize(image, first, 'cubic')));
  const { data, channels } = await toRaw(resize(source, target, SHARP_KERNEL[kernel]));
  return { data: channels === 1 ? repeatGrey(data) : data, ...target };
}

function resize(image: Sharp, size: Size, kernel: (typeof SHARP_KERNEL)[Resample]): Sharp {
  return image.resize({
    width: size.width,
    height: size.height,
    fit: 'fill',
    kernel,
    fastShrinkOnLoad: false,
  });
}

/** 8 bits a sample, grey or RGB. */
interface Raw {
  data: Uint8Array;
  size: Size;
  channels: 1 | 3;
}

function fromRaw({ data, size: { width, height }, channels }: Raw): Sharp {
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
}

async function toRaw(image: Sharp): Promise<Raw> {
  const { data, info } = await image
    .removeAlpha()
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return { data, size: info, channels: (info.channels as number) === 1 ? 1 : 3 };
}
