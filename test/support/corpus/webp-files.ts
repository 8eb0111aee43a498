import { colours, corpusOf, oneColour, type CorpusFile } from './expected.ts';
import { picture, plain, QUARTERS } from './pictures.ts';
import {
  webp,
  webpAnimation,
  webpCanvas,
  webpChunk,
  webpFrame,
  webpLosslessHeader,
  webpPicture,
} from './webp.ts';

export async function webpFiles(): Promise<CorpusFile[]> {
  const good = await picture().webp({ lossless: true }).toBuffer();
  const inner = webpPicture(good);
  const frame = webpFrame(inner, { width: 64, height: 64 });
  const ours = oneColour(200, 50, 20);
  const animated = (width: number, height: number, frames: readonly Uint8Array[]): Buffer =>
    webp([webpCanvas(width, height, ['animation']), webpAnimation(), ...frames]);
  return corpusOf('webp', {
    good: [good, colours(QUARTERS)],
    lossy: [await plain(64, 64).webp({ quality: 95 }).toBuffer(), ours],
    'colour under nothing': [
      await plain(64, 64, [200, 50, 20, 0]).webp({ lossless: true, exact: true }).toBuffer(),
      ours,
    ],
    'one pixel': [await plain(1, 1).webp({ lossless: true }).toBuffer(), ours],
    '1 x 16,383': [await plain(1, 16_383).webp({ lossless: true }).toBuffer(), ours],
    '16,383 x 1': [await plain(16_383, 1).webp({ lossless: true }).toBuffer(), ours],
    '98 megapixels in 38 bytes': [
      await plain(9_900, 9_900).webp({ lossless: true, effort: 0 }).toBuffer(),
      ours,
    ],
    '16,384 a side in its header': [
      webp([webpLosslessHeader(16_384, 16_384)]),
      'too_many_pixels|truncated|corrupt',
    ],
    '98 megapixels in its header': [webp([webpLosslessHeader(9_900, 9_900)]), 'truncated|corrupt'],
    'a canvas of 16 million a side': [animated(2 ** 24, 2 ** 24, [frame]), 'corrupt|too_many_pixels'],
    'a canvas of 65,536 a side': [animated(65_536, 65_536, [frame]), 'corrupt|too_many_pixels'],
    'a canvas of 65,536 a side, standing still': [
      webp([webpCanvas(65_536, 65_536), inner]),
      'corrupt|too_many_pixels',
    ],
    'a canvas of 98 megapixels, frames of few': [animated(9_900, 9_900, [frame, frame]), 'pixels'],
    'ten thousand frames': [
      animated(
        64,
        64,
        Array.from({ length: 10_000 }, () => frame),
      ),
      colours(QUARTERS),
    ],
    'an animation without frames': [animated(64, 64, []), 'corrupt|truncated'],
    'a frame outside of the canvas': [
      animated(64, 64, [webpFrame(inner, { width: 64, height: 64, x: 60_000, y: 60_000 })]),
      'corrupt|truncated',
    ],
    'a frame of another size than said': [
      animated(64, 64, [webpFrame(inner, { width: 32, height: 32 })]),
      'corrupt|pixels',
    ],
    'a profile of garbage': [
      webp([webpCanvas(64, 64), webpChunk('ICCP', Buffer.alloc(900, 7)), inner]),
      'pixels|corrupt',
    ],
    'a chunk longer than the file': [
      webp([webpChunk('VP8L', inner.subarray(8), 0x7fffffff)]),
      'corrupt|truncated',
    ],
    'twenty thousand unknown chunks': [
      webp([
        webpCanvas(64, 64),
        ...Array.from({ length: 20_000 }, () => webpChunk('abcd', Buffer.alloc(2))),
        inner,
      ]),
      'pixels|corrupt',
    ],
    'no picture': [webp([]), 'corrupt|truncated'],
    'cut in its middle': [good.subarray(0, good.length / 2), 'truncated'],
    'its first twelve bytes': [good.subarray(0, 12), 'truncated'],
    'a page in it': [webp([Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"></svg>')]), 'corrupt'],
  });
}
