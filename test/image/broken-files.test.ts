import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import sharp from 'sharp';

import { ImageError } from '../../src/base/errors.ts';
import { decodeImage } from '../../src/image/decode.ts';
import { fixture, preprocessing } from './support.ts';

const P = preprocessing();
const MODEL = preprocessing({ resize: { kind: 'shortest_edge', size: 64 }, crop: { width: 56, height: 56 } });

/** The code of the failure, or the number of bytes. */
async function outcome(bytes: Uint8Array, p = P): Promise<string | number> {
  try {
    return (await decodeImage(bytes, p)).byteLength;
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return error.code;
  }
}

const text = (value: string) => new TextEncoder().encode(value);
const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>';

describe('what is no picture', () => {
  test.each([
    ['nothing', '', 'empty'],
    ['a page', '<!doctype html><html><body>not found</body></html>', 'not_an_image'],
    ['a page with an SVG inside', `<html><body>${SVG}</body></html>`, 'not_an_image'],
    ['an answer of an API', '{"statusCode":"404","error":"not_found"}', 'not_an_image'],
    ['a feed', '<?xml version="1.0"?><rss></rss>', 'not_an_image'],
    ['text', 'hello', 'not_an_image'],
    ['one byte', 'x', 'not_an_image'],
    ['an SVG', SVG, 'unsupported_type'],
    ['an SVG behind a declaration', `\ufeff<?xml version="1.0"?>\n<!-- x -->\n${SVG}`, 'unsupported_type'],
    ['an SVG with a namespace', '<svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>', 'unsupported_type'],
    [
      'an SVG with a doctype',
      `<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd">${SVG}`,
      'unsupported_type',
    ],
    ['a PDF', '%PDF-1.7 ...', 'unsupported_type'],
    ['a PNM', 'P3 1 1 255 0 0 0', 'unsupported_type'],
  ])('%s', async (_, content, code) => {
    expect(await outcome(text(content))).toBe(code);
  });

  test('UTF-16 SVG, BMP, HEIC, MP4', async () => {
    expect(await outcome(Buffer.from(`\ufeff${SVG}`, 'utf16le'))).not.toEqual(expect.any(Number));
    expect(await outcome(Buffer.from('BM\x36\0\0\0\0\0\0\0\x36\0\0\0', 'latin1'))).toBe('unsupported_type');
    expect(await outcome(Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'))).toBe(
      'unsupported_type',
    );
    expect(await outcome(Buffer.from('\0\0\0\x18ftypmp42\0\0\0\0mp42isom', 'latin1'))).toBe(
      'unsupported_type',
    );
  });
});

describe('what is cut off or broken', () => {
  test.each([
    'landscape.jpg',
    'cmyk.jpg',
    'opaque.png',
    'alpha.png',
    'palette.png',
    'plain.webp',
    'alpha.webp',
    'cmyk.tif',
  ])('%s, cut anywhere', async (name) => {
    const bytes = await fixture(name);
    for (const share of [0.02, 0.1, 0.3, 0.5, 0.7, 0.9]) {
      const cut = bytes.subarray(0, Math.max(16, Math.floor(bytes.length * share)));
      expect([share, await outcome(cut)]).toEqual([share, 'truncated']);
    }
  });

  test('an animation that is cut off within its first frame; behind it, the first frame is all that is asked for', async () => {
    const bytes = await fixture('animated.gif');
    expect(await outcome(bytes.subarray(0, Math.floor(bytes.length * 0.2)))).toBe('truncated');
    expect(await outcome(bytes.subarray(0, Math.floor(bytes.length * 0.9)))).toBe(32 * 24 * 3);
  });

  test('many at once, good ones among them: each is told for itself', async () => {
    const jpeg = await fixture('landscape.jpg');
    const png = await fixture('opaque.png');
    const cut = [jpeg.subarray(0, jpeg.length / 2), png.subarray(0, png.length / 2)];
    const broken = Buffer.from(png);
    broken.fill(7, png.length / 2, png.length - 12);
    const files = Array.from({ length: 120 }, (_, i) => [...cut, broken, jpeg][i % 4] ?? jpeg);
    const outcomes = await Promise.all(files.map((file) => outcome(file)));
    for (const [i, found] of outcomes.entries()) {
      expect(found).toEqual(['truncated', 'truncated', 'corrupt', outcomes[3]][i % 4]);
    }
    expect(outcomes[3]).toEqual(expect.any(Number));
  });

  test('a JPEG whose end is missing by one byte', async () => {
    const bytes = await fixture('landscape.jpg');
    expect(await outcome(bytes.subarray(0, -1))).toBe('truncated');
  });

  test('a head without a body that fits', async () => {
    expect(
      await outcome(Buffer.concat([(await fixture('opaque.png')).subarray(0, 40), Buffer.alloc(5_000, 7)])),
    ).toMatch(/^(?:truncated|corrupt)$/);
  });

  test('mutated files are refused with a code or read, never anything else', async () => {
    const names = [
      'exif-6.jpg',
      'cmyk.jpg',
      'palette-alpha.png',
      'grey-16.png',
      'animated.gif',
      'alpha.webp',
      'cmyk.tif',
    ];
    const files = await Promise.all(names.map(fixture));
    const allowed = /^(?:truncated|corrupt|not_an_image|unsupported_type|too_many_pixels|empty)$/;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        async (file, edits, share) => {
          const bytes = Uint8Array.from(file.subarray(0, Math.ceil(file.length * share)));
          for (const [where, value] of edits) bytes[Math.floor(where * (bytes.length - 1))] = value;
          const found = await outcome(bytes, MODEL);
          if (found !== 56 * 56 * 3) expect(found).toMatch(allowed);
        },
      ),
      { numRuns: 150, seed: 1 },
    );
  });

  test('an error shows nothing of the file', async () => {
    const bytes = Buffer.concat([(await fixture('landscape.jpg')).subarray(0, 300), text('hunter2')]);
    await expect(decodeImage(bytes, P)).rejects.toMatchObject({
      message: 'the file ends before the image does',
    });
  });
});

describe('sizes', () => {
  const plain = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: '#c83214' }, limitInputPixels: false });

  test('more pixels than allowed are refused, in every format', async () => {
    const image = plain(210, 100);
    const files = [image.png(), image.jpeg(), image.webp(), image.gif(), image.tiff(), image.avif()];
    for (const file of files) {
      const bytes = await file.toBuffer();
      const refused = decodeImage(bytes, P, { maxPixels: 20_999 });
      await expect(refused).rejects.toMatchObject({ code: 'too_many_pixels', retryable: false });
      expect((await decodeImage(bytes, P, { maxPixels: 21_000 })).byteLength).toBe(32 * 24 * 3);
    }
  });

  test('a bomb of 289 megapixels is refused by its header', async () => {
    const bomb = await plain(17_000, 17_000).png().toBuffer();
    await expect(decodeImage(bomb, P)).rejects.toMatchObject({ code: 'too_many_pixels' });
  });

  test.each([
    [1, 1],
    [1, 65_535],
    [65_535, 1],
    [3, 20_000],
    [20_000, 300],
  ])('%i x %i pixels make a picture like any other', async (width, height) => {
    const pixels = await decodeImage(await plain(width, height).png().toBuffer(), MODEL);
    expect(pixels.byteLength).toBe(56 * 56 * 3);
    for (let i = 0; i < pixels.length; i += 3) {
      expect([...pixels.subarray(i, i + 3)]).toEqual([0xc8, 0x32, 0x14]);
    }
  });
});

test('an aborted call rejects with the reason', async () => {
  const reason = new Error('enough');
  const call = decodeImage(await fixture('small.png'), P, { signal: AbortSignal.abort(reason) });
  await expect(call).rejects.toBe(reason);
});

test('the bytes are left as they were, and the result is its own', async () => {
  const bytes = new Uint8Array(await fixture('grey.png'));
  const before = Uint8Array.from(bytes);
  const [a, b] = await Promise.all([decodeImage(bytes, P), decodeImage(bytes, P)]);
  expect(bytes).toEqual(before);
  expect(a).toEqual(b);
  expect(a.constructor).toBe(Uint8Array);
  expect(a.buffer.byteLength).toBe(a.byteLength);
  a.fill(0);
  expect(b.some((value) => value !== 0)).toBe(true);
});
