import { avifGrid, boxes, withAvifSize } from './avif.ts';
import { colours, corpusOf, oneColour, type CorpusFile } from './expected.ts';
import { picture, plain, QUARTERS } from './pictures.ts';

export async function avifFiles(): Promise<CorpusFile[]> {
  const good = await picture().avif({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer();
  const tile = await plain(64, 64).avif({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer();
  const ours = oneColour(200, 50, 20);
  const grid = (rows: number, columns: number, size = { width: 64 * columns, height: 64 * rows }): Buffer =>
    avifGrid(tile, { rows, columns, ...size });
  const meta = boxes(good).find(({ type }) => type === 'meta');
  return corpusOf('avif', {
    good: [good, colours(QUARTERS)],
    'with alpha': [
      await plain(64, 64, [200, 50, 20, 0]).avif({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer(),
      ours,
    ],
    'twelve bits': [await plain(64, 64).avif({ quality: 90, bitdepth: 12 }).toBuffer(), ours],
    'one pixel': [await plain(1, 1).avif({ chromaSubsampling: '4:4:4' }).toBuffer(), ours],
    '1 x 16,384': [await plain(1, 16_384).avif({ effort: 0, chromaSubsampling: '4:4:4' }).toBuffer(), ours],
    '25 megapixels': [await plain(5_000, 5_000).avif({ effort: 0 }).toBuffer(), ours],
    '16 megapixels with alpha, twelve bits': [
      await plain(4_000, 4_000, [200, 50, 20, 0]).avif({ effort: 0, bitdepth: 12 }).toBuffer(),
      ours,
    ],
    '65,536 a side in its header': [withAvifSize(good, 65_536, 65_536), 'too_many_pixels'],
    'four billion a side': [withAvifSize(good, 0xffffffff, 0xffffffff), 'too_many_pixels|corrupt'],
    '98 megapixels in its header, few coded': [withAvifSize(good, 9_900, 9_900), 'corrupt'],
    'no size': [withAvifSize(good, 0, 0), 'corrupt'],
    'a grid of four': [grid(2, 2), ours],
    'a grid of 256': [grid(16, 16), 'pixels|corrupt'],
    'a grid of 65,536 tiles': [grid(256, 255), 'too_many_pixels|corrupt'],
    'a grid of four billion a side': [
      grid(2, 2, { width: 0xffffffff, height: 0xffffffff }),
      'too_many_pixels|corrupt',
    ],
    'a grid of 98 megapixels, one tile': [grid(1, 1, { width: 9_900, height: 9_900 }), 'corrupt'],
    'cut in its boxes': [good.subarray(0, meta === undefined ? 0 : meta.from + 40), 'truncated'],
    'cut in its picture': [good.subarray(0, -20), 'truncated'],
    'its first box': [good.subarray(0, 24), 'corrupt|truncated'],
    'a box of no size in the middle': [
      edited(good, (meta?.from ?? 0) + 12, [0, 0, 0, 0]),
      'corrupt|truncated|pixels',
    ],
    'a box of four billion bytes in the middle': [
      edited(good, (meta?.from ?? 0) + 12, [255, 255, 255, 255]),
      'corrupt|truncated|pixels',
    ],
    'said to be an image sequence': [edited(good, 8, [...Buffer.from('avis')]), 'pixels|corrupt'],
    'a coded picture of garbage': [
      Buffer.concat([good.subarray(0, -40), Buffer.alloc(40, 0xa5)]),
      'corrupt|pixels',
    ],
  });
}

function edited(bytes: Uint8Array, at: number, values: readonly number[]): Buffer {
  const out = Buffer.from(bytes);
  out.set(values, at);
  return out;
}
