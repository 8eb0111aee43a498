import { deflateSync } from 'node:zlib';

import { colours, corpusOf, oneColour, type CorpusFile } from './expected.ts';
import { picture, plain, quarters, QUARTERS, SIZE } from './pictures.ts';
import { png, pngChunk, pngRows, pngTextBomb } from './png.ts';

const MIB = 1024 * 1024;

export async function pngFiles(): Promise<CorpusFile[]> {
  const good = await picture().png().toBuffer();
  const seen = colours(QUARTERS);
  const plainRows = pngRows(SIZE, SIZE, [200, 50, 20]);
  const ours = oneColour(200, 50, 20);
  const make = (before: readonly Uint8Array[]): Buffer =>
    png({ width: SIZE, height: SIZE, rows: plainRows, before });
  const palette = pngChunk('PLTE', Buffer.from([0, 0, 0, 200, 50, 20]));
  const indexed = pngRows(SIZE, SIZE, [1]);
  return corpusOf('png', {
    good: [good, seen],
    interlaced: [await picture().png({ progressive: true }).toBuffer(), seen],
    '65,535 a side in its header': [
      png({ width: 65_535, height: 65_535, body: [] }),
      'too_many_pixels|truncated',
    ],
    '65,536 a side': [png({ width: 65_536, height: 65_536, rows: Buffer.alloc(9) }), 'too_many_pixels'],
    'two billion a side': [
      png({ width: 0x7fffffff, height: 0x7fffffff, rows: Buffer.alloc(9) }),
      'corrupt|too_many_pixels',
    ],
    'four billion a side': [png({ width: 0xffffffff, height: 0xffffffff, rows: Buffer.alloc(9) }), 'corrupt'],
    'no width': [png({ width: 0, height: 4, rows: Buffer.alloc(9) }), 'corrupt'],
    '10,000 a side in its header, no rows': [
      png({ width: 10_000, height: 10_000, rows: Buffer.alloc(9) }),
      'corrupt|truncated',
    ],
    '100 megapixels in a few bytes': [
      png({ width: 10_000, height: 10_000, colour: 0, depth: 1 }),
      oneColour(0, 0, 0),
    ],
    '100 interlaced megapixels, no rows': [
      png({ width: 10_000, height: 10_000, colour: 6, depth: 16, interlaced: true, rows: Buffer.alloc(9) }),
      'corrupt|truncated',
    ],
    '25 interlaced megapixels of 16 bits and alpha': [
      await plain(5_000, 5_000, [200, 50, 20, 255])
        .toColourspace('rgb16')
        .png({ progressive: true, compressionLevel: 1 })
        .toBuffer(),
      ours,
    ],
    '1 x 65,536': [png({ width: 1, height: 65_536, rows: pngRows(1, 65_536, [200, 50, 20]) }), ours],
    '65,536 x 1': [png({ width: 65_536, height: 1, rows: pngRows(65_536, 1, [200, 50, 20]) }), ours],
    '1 x 262,144': [png({ width: 1, height: 262_144, colour: 0 }), oneColour(0, 0, 0)],
    // Once took 1.4 GB.
    'rows of 16 million': [png({ width: 0xffffff, height: 4, body: [pngChunk('IDAT')] }), 'too_many_pixels'],
    '4 x 16 million': [png({ width: 4, height: 0xffffff, body: [pngChunk('IDAT')] }), 'too_many_pixels'],
    '262,144 x 300': [png({ width: 262_144, height: 300, colour: 0, depth: 1 }), oneColour(0, 0, 0)],
    'one pixel': [png({ width: 1, height: 1, rows: pngRows(1, 1, [200, 50, 20]) }), ours],
    '16 bits': [
      png({ width: SIZE, height: SIZE, depth: 16, rows: pngRows(SIZE, SIZE, [200, 9, 50, 99, 20, 255]) }),
      ours,
    ],
    '16 bits of grey': [
      png({ width: SIZE, height: SIZE, depth: 16, colour: 0, rows: pngRows(SIZE, SIZE, [90, 200]) }),
      oneColour(90, 90, 90),
    ],
    'grey and alpha': [
      png({ width: SIZE, height: SIZE, colour: 4, rows: pngRows(SIZE, SIZE, [90, 0]) }),
      oneColour(90, 90, 90),
    ],
    'colour under nothing': [
      png({ width: SIZE, height: SIZE, colour: 6, rows: pngRows(SIZE, SIZE, [200, 50, 20, 0]) }),
      ours,
    ],
    'a transparent colour': [make([pngChunk('tRNS', Buffer.from([0, 200, 0, 50, 0, 20]))]), ours],
    'a palette': [png({ width: SIZE, height: SIZE, colour: 3, rows: indexed, before: [palette] }), ours],
    'a palette with transparency': [
      png({
        width: SIZE,
        height: SIZE,
        colour: 3,
        rows: indexed,
        before: [palette, pngChunk('tRNS', Buffer.from([255, 0]))],
      }),
      ours,
    ],
    'no palette': [png({ width: SIZE, height: SIZE, colour: 3, rows: indexed }), 'corrupt'],
    'a pixel behind the palette': [
      png({ width: SIZE, height: SIZE, colour: 3, rows: pngRows(SIZE, SIZE, [9]), before: [palette] }),
      'corrupt|pixels',
    ],
    'a filter that there is not': [
      png({ width: SIZE, height: SIZE, rows: Buffer.alloc(SIZE * (SIZE * 3 + 1), 77) }),
      'corrupt',
    ],
    'rows for a thousand pictures': [
      png({ width: SIZE, height: SIZE, rows: Buffer.concat([plainRows, Buffer.alloc(64 * MIB)]) }),
      ours,
    ],
    'a text that inflates to 64 MiB': [make([pngTextBomb('zTXt', 64 * MIB)]), 'pixels|corrupt'],
    'an iTXt that inflates to 64 MiB': [make([pngTextBomb('iTXt', 64 * MIB)]), 'pixels|corrupt'],
    'a hundred texts that inflate to 4 MiB': [
      make(Array.from({ length: 100 }, () => pngTextBomb('zTXt', 4 * MIB))),
      'pixels|corrupt',
    ],
    'a profile that inflates to 64 MiB': [make([pngTextBomb('iCCP', 64 * MIB)]), 'pixels|corrupt'],
    'a profile of garbage': [
      make([pngChunk('iCCP', Buffer.concat([Buffer.from('icc\0\0'), deflateSync('garbage')]))]),
      ours,
    ],
    'twenty thousand chunks': [
      make(Array.from({ length: 20_000 }, () => pngChunk('tEXt', Buffer.from('a\0b')))),
      'pixels|corrupt',
    ],
    'a chunk longer than the file': [make([pngChunk('tEXt', Buffer.from('a\0b'), 0x7fffffff)]), 'truncated'],
    'a chunk of four billion bytes': [
      make([pngChunk('tEXt', Buffer.from('a\0b'), 0xffffffff)]),
      'corrupt|truncated',
    ],
    'an animation of four billion frames': [make([pngChunk('acTL', Buffer.alloc(8, 0xff))]), ours],
    'EXIF of garbage': [make([pngChunk('eXIf', Buffer.from(`II*\0${'\xff'.repeat(500)}`, 'latin1'))]), ours],
    'pixels before the header': [
      Buffer.concat([good.subarray(0, 8), pngChunk('IDAT', deflateSync(plainRows)), good.subarray(8)]),
      'corrupt',
    ],
    'a second header': [make([good.subarray(8, 33)]), 'corrupt|pixels'],
    'no pixels': [png({ width: SIZE, height: SIZE, body: [pngChunk('IEND')] }), 'corrupt'],
    'a wrong checksum': [flipped(good, 30), 'corrupt'],
    'cut in its middle': [good.subarray(0, good.length / 2), 'truncated'],
    'its signature': [good.subarray(0, 8), 'truncated'],
    'a page behind its end': [
      Buffer.concat([good, Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')]),
      seen,
    ],
    'deflated at no level, a hundred pieces': [pieces(), seen],
  });
}

function flipped(bytes: Uint8Array, at: number): Buffer {
  const out = Buffer.from(bytes);
  out.writeUInt8(out.readUInt8(at) ^ 1, at);
  return out;
}

function pieces(): Buffer {
  const pixels = quarters();
  const rows = Buffer.concat(
    Array.from({ length: SIZE }, (_, y) =>
      Buffer.concat([Buffer.from([0]), pixels.subarray(y * SIZE * 3, (y + 1) * SIZE * 3)]),
    ),
  );
  const data = deflateSync(rows, { level: 0 });
  const step = Math.ceil(data.length / 100);
  const chunks = Array.from({ length: 100 }, (_, i) =>
    pngChunk('IDAT', data.subarray(i * step, (i + 1) * step)),
  );
  return png({ width: SIZE, height: SIZE, body: [...chunks, pngChunk('IEND')] });
}
