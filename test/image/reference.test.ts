import { readFileSync } from 'node:fs';
import path from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { decodeImage } from '../../src/image/decode.ts';
import { outputSize, type Preprocessing } from '../../src/image/preprocessing.ts';
import { difference, fixture, FIXTURES, pixelsOf, preprocessing } from './support.ts';

interface Case extends Pick<Preprocessing, 'resize' | 'resample' | 'crop' | 'orient' | 'alpha'> {
  name: string;
  group: keyof typeof LIMITS;
  source: string;
  expected: string;
}

/** Mean absolute difference of 255 that is allowed, and the largest of any single value. */
const LIMITS = {
  /** Nothing is resized: to the bit. */
  same: { mean: 0, max: 0 },
  /** libvips rounds once where PIL rounds twice. */
  flattened: { mean: 0.5, max: 1 },
  enlarge: { mean: 0, max: 0 },
  mixed: { mean: 0, max: 0 },
  quarter: { mean: 0, max: 0 },
  half: { mean: 0.25, max: 12 },
  third: { mean: 0.25, max: 8 },
  '8.7': { mean: 0.3, max: 16 },
  model: { mean: 0.2, max: 10 },
};

const manifest = JSON.parse(readFileSync(path.join(FIXTURES, 'manifest.json'), 'utf8')) as { cases: Case[] };

describe('the same pixels as PIL and transformers', () => {
  test.each(manifest.cases.map((c) => [c.name, c] as const))(
    '%s',
    async (_, { group, source, expected, ...rest }) => {
      const { resize, resample, crop, orient, alpha } = rest;
      const p = preprocessing({ resize, resample, crop, orient, alpha });
      const pixels = await decodeImage(await fixture(source), p);
      const { width, height } = outputSize(p);
      expect(pixels.byteLength).toBe(width * height * 3);
      const found = difference(pixels, await pixelsOf(expected));
      expect(found.mean).toBeLessThanOrEqual(LIMITS[group].mean);
      expect(found.max).toBeLessThanOrEqual(LIMITS[group].max);
    },
  );

  test('the references hold every kind of case', () => {
    expect(new Set(manifest.cases.map((c) => c.group))).toEqual(new Set(Object.keys(LIMITS)));
  });

  test('alpha policies and orientation are told apart by these pictures', async () => {
    const p = { resize: { kind: 'exact', width: 80, height: 60 } } as const;
    const [drop, white, black] = await Promise.all(
      (['drop', 'white', 'black'] as const).map(async (alpha) =>
        decodeImage(await fixture('alpha.png'), preprocessing({ ...p, alpha })),
      ),
    );
    if (drop === undefined || white === undefined || black === undefined)
      throw new Error('three were asked for');
    expect(difference(drop, white).mean).toBeGreaterThan(20);
    expect(difference(white, black).mean).toBeGreaterThan(20);
    const [turned, asIs] = await Promise.all(
      [true, false].map(async (orient) =>
        decodeImage(await fixture('exif-3.jpg'), preprocessing({ orient })),
      ),
    );
    if (turned === undefined || asIs === undefined) throw new Error('two were asked for');
    expect(difference(turned, asIs).mean).toBeGreaterThan(20);
  });
});
