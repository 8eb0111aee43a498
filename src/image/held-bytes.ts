import type { Metadata } from 'sharp';

import type { ImageType } from './sniff.ts';

/** Rows of a picture that libvips holds while it decodes a format row by row: measured, rounded up. */
const ROWS_IN_FLIGHT = 2_048;

/** From this width on, resizing needs more than the rows: measured, rounded up. */
const WIDE = 65_536;
const WIDE_BYTES = 8;

/** Coefficients of a progressive JPEG, two bytes each, are all kept until its last scan. */
const COEFFICIENT_BYTES = 2;
/** Bytes a pixel of the formats that are decoded as a whole: the decoder's own planes, and libvips' copy. Measured. */
const WEBP_BYTES = 8;
const GIF_BYTES = 8;
const AVIF_BYTES = 18;
const DEEP_AVIF_BYTES = 34;

/** About how much memory decoding takes at its peak, in bytes: docs/decisions/hostile-files.md. */
export function heldBytes(metadata: Metadata, type: ImageType, isCopied: boolean): number {
  const { width, height } = metadata;
  const copied = isCopied ? width * height * (metadata.space === 'cmyk' ? 4 : 3) : 0;
  return decodedBytes(metadata, type) + copied;
}

function decodedBytes(metadata: Metadata, type: ImageType): number {
  const { width, height, channels, depth, isProgressive } = metadata;
  const pixels = width * height;
  const pixelBytes = channels * (SAMPLE_BYTES[depth] ?? 8);
  const inRows = width > WIDE ? pixels * WIDE_BYTES : Math.min(height, ROWS_IN_FLIGHT) * width * pixelBytes;
  switch (type) {
    case 'jpeg':
      return isProgressive ? pixels * channels * COEFFICIENT_BYTES : inRows;
    case 'png':
      return isProgressive ? pixels * pixelBytes : inRows;
    case 'tiff':
      // One strip or tile may be the whole picture.
      return Math.max(inRows, pixels * pixelBytes);
    case 'webp':
      return pixels * WEBP_BYTES;
    case 'gif':
      return pixels * GIF_BYTES;
    case 'avif':
      return pixels * (depth === 'uchar' ? AVIF_BYTES : DEEP_AVIF_BYTES);
  }
}

const SAMPLE_BYTES: Readonly<Partial<Record<Metadata['depth'], number>>> = {
  uchar: 1,
  char: 1,
  ushort: 2,
  short: 2,
  uint: 4,
  int: 4,
  float: 4,
};
