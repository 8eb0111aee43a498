import type { Preprocessing } from './preprocessing.ts';

export interface Size {
  width: number;
  height: number;
}

/** A part of a picture, in its pixels; left and top may be negative and the size larger than the picture: zeros. */
export interface Window extends Size {
  left: number;
  top: number;
}

/** From 4 on, libvips averages blocks of pixels before it filters: precise below, visibly softer from there. */
const SINGLE_PASS_LIMIT = 4;
/** What the second of two passes shrinks by at most: just below the limit. */
const SECOND_PASS_SHRINK = 3.9;

/** The size a picture of this size is resized to, before the crop: transformers' `get_resize_output_image_size`. */
export function resizedSize({ width, height }: Size, { resize }: Preprocessing): Size {
  if (resize.kind === 'exact') return { width: resize.width, height: resize.height };
  const long = Math.trunc((resize.size * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: resize.size, height: long } : { width: long, height: resize.size };
}

/** Where the crop lies in the resized picture: transformers' `center_crop`, zeros around a smaller picture. */
export function cropWindow(resized: Size, crop: Size | null): Window {
  if (crop === null) return { left: 0, top: 0, ...resized };
  return {
    left: cropOffset(resized.width, crop.width),
    top: cropOffset(resized.height, crop.height),
    width: crop.width,
    height: crop.height,
  };
}

/**
 * The middle of a picture whose longer edge is more than `maxAspect` times the shorter one. As many pixels go on one
 * side as on the other, so that a centre crop of what is left is that of the whole picture.
 */
export function middleWindow({ width, height }: Size, maxAspect: number): Window {
  const most = Math.floor(Math.min(width, height) * maxAspect);
  const kept = (edge: number): number => (edge <= most ? edge : most - ((edge - most) % 2));
  const size = { width: kept(width), height: kept(height) };
  return { left: (width - size.width) / 2, top: (height - size.height) / 2, ...size };
}

/** Floor of half the difference, for negative ones too: the padding before is then its ceiling, as it must be. */
function cropOffset(size: number, crop: number): number {
  return Math.floor((size - crop) / 2);
}

/** What the first of two passes of a strong shrink makes of an axis; `target` where one pass is enough. */
export function firstPass(size: number, target: number): number {
  const shrink = size / target;
  if (shrink < SINGLE_PASS_LIMIT) return target;
  return shrink < 2 * SECOND_PASS_SHRINK ? Math.round(size / 2) : Math.floor(target * SECOND_PASS_SHRINK);
}
