import { colours, corpusOf, oneColour, type CorpusFile } from './expected.ts';
import { gif } from './gif.ts';
import { picture, plain, QUARTERS } from './pictures.ts';

export async function gifFiles(): Promise<CorpusFile[]> {
  const good = await picture().gif({ dither: 0 }).toBuffer();
  const pixel = { width: 1, height: 1 };
  const many = (count: number): (typeof pixel)[] => Array.from({ length: count }, () => pixel);
  const full = (width: number, height: number): Promise<Buffer> => plain(width, height).gif().toBuffer();
  return corpusOf('gif', {
    good: [good, colours(QUARTERS)],
    'one pixel': [gif(pixel, [pixel]), oneColour(200, 50, 20)],
    '65,535 a side in its header': [
      gif({ width: 65_535, height: 65_535 }, [pixel]),
      'too_many_pixels|pixels',
    ],
    'a frame of 65,535 a side': [
      gif(pixel, [{ width: 65_535, height: 65_535 }]),
      'too_many_pixels|corrupt|truncated|pixels',
    ],
    '100 megapixels and a frame of one': [gif({ width: 10_000, height: 10_000 }, [pixel]), 'pixels'],
    '36 megapixels': [await full(6_000, 6_000), oneColour(200, 50, 20)],
    '1 x 65,535': [await full(1, 65_535), oneColour(200, 50, 20)],
    '65,535 x 1': [await full(65_535, 1), oneColour(200, 50, 20)],
    'a hundred thousand frames on 64 megapixels': [
      gif({ width: 8_000, height: 8_000 }, many(100_000)),
      'pixels',
    ],
    'no size': [gif({ width: 0, height: 0 }, [pixel]), 'corrupt|pixels|too_many_pixels'],
    'no frame': [gif(pixel, []), 'corrupt|truncated'],
    'a frame without data': [
      gif(pixel, [{ ...pixel, data: Buffer.from([2, 0]) }]),
      'corrupt|truncated|pixels',
    ],
    'a frame of wrong codes': [
      gif(pixel, [{ ...pixel, data: Buffer.from([12, 255, ...Array<number>(255).fill(0xff), 0]) }]),
      'corrupt|truncated|pixels',
    ],
    'a frame outside of the canvas': [
      gif({ width: 4, height: 4 }, [{ ...pixel, left: 60_000, top: 60_000 }]),
      'pixels|corrupt|too_many_pixels',
    ],
    'no end': [gif({ width: 64, height: 64 }, [pixel], false), 'pixels|truncated'],
    'cut in its head': [good.subarray(0, 10), 'truncated'],
    'cut in its middle': [good.subarray(0, good.length / 2), 'truncated'],
    'a page behind its head': [
      Buffer.concat([good.subarray(0, 13), Buffer.from('<html></html>')]),
      'corrupt|truncated',
    ],
    'a script for its size': [
      Buffer.from('GIF89a/*<svg xmlns="http://www.w3.org/2000/svg"></svg>*/=1;', 'latin1'),
      'corrupt|truncated|too_many_pixels',
    ],
  });
}
