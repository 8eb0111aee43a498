import sharp from 'sharp';

import type { Raster } from './resample.ts';

const QUALITY = 82;

/** A picture as a JPEG in a `data:` url, its longer side at most so long: for pages that stand alone. */
export async function jpegDataUrl({ data, width, height }: Raster, side: number): Promise<string> {
  const bytes = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality: QUALITY })
    .toBuffer();
  return `data:image/jpeg;base64,${bytes.toString('base64')}`;
}
