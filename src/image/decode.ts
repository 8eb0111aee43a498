import type { Preprocessing } from './preprocessing.ts';

export interface DecodeOptions {
  /** More pixels than this (width · height, before decoding) are refused: `too_many_pixels`. */
  maxPixels?: number;
}

export async function decodeImage(
  _bytes: Uint8Array,
  _preprocessing: Preprocessing,
  _options: DecodeOptions = {},
): Promise<Uint8Array> {
  await Promise.resolve();
  throw new Error('not yet');
}
