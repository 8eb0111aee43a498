import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { cropWindow, firstPass, resizedSize } from '../../src/image/geometry.ts';
import { outputSize } from '../../src/image/preprocessing.ts';
import { cutOut, resample } from '../../src/image/resample.ts';
import { preprocessing } from './support.ts';

const edge = fc.integer({ min: 1, max: 5_000 });

describe('sizes', () => {
  test.each([
    [640, 480, 256, 341, 256],
    [480, 640, 256, 256, 341],
    [333, 601, 256, 256, 462],
    [100, 100, 224, 224, 224],
    [1, 1_000, 224, 224, 224_000],
    [601, 23, 64, 1_672, 64],
  ])('%i x %i with shortest edge %i', (width, height, size, expectedWidth, expectedHeight) => {
    const p = preprocessing({ resize: { kind: 'shortest_edge', size } });
    expect(resizedSize({ width, height }, p)).toEqual({ width: expectedWidth, height: expectedHeight });
  });

  test('are what the crop says, else the exact size, else not fixed', () => {
    const resize = { kind: 'shortest_edge', size: 256 } as const;
    expect(outputSize(preprocessing({ resize, crop: { width: 224, height: 200 } }))).toEqual({
      width: 224,
      height: 200,
    });
    expect(outputSize(preprocessing({ resize: { kind: 'exact', width: 5, height: 6 } }))).toEqual({
      width: 5,
      height: 6,
    });
    expect(() => outputSize(preprocessing({ resize }))).toThrow(
      expect.objectContaining({ code: 'invalid_preprocessing' }),
    );
  });

  test('neither of two passes shrinks by 4 or more, up to 15 in all, and none enlarges', () => {
    fc.assert(
      fc.property(edge, edge, (size, target) => {
        fc.pre(target >= 16 && target <= size && size / target < 15);
        const first = firstPass(size, target);
        expect(first).toBeGreaterThanOrEqual(target);
        if (first !== target) {
          expect(size / first).toBeLessThan(4);
          expect(first / target).toBeLessThan(4);
        }
      }),
    );
  });
});

describe('a centre crop', () => {
  test('lies as transformers puts it: floor of half the difference, zeros above and left first', () => {
    const crop = { width: 224, height: 224 };
    expect(cropWindow({ width: 341, height: 256 }, crop)).toEqual({
      left: 58,
      top: 16,
      width: 224,
      height: 224,
    });
    expect(cropWindow({ width: 101, height: 224 }, crop)).toMatchObject({ left: -62, top: 0 });
    expect(cropWindow({ width: 300, height: 1 }, crop)).toMatchObject({ left: 38, top: -112 });
  });

  test('of a smaller picture is surrounded by zeros', () => {
    const data = new Uint8Array(2 * 1 * 3).fill(9);
    const out = cutOut({ data, width: 2, height: 1 }, { left: -1, top: -1, width: 3, height: 3 });
    const red = [...out].filter((_, i) => i % 3 === 0);
    expect(red).toEqual([0, 0, 0, 0, 9, 9, 0, 0, 0]);
  });
});

describe('resampling', () => {
  const size = fc.record({ width: fc.integer({ min: 1, max: 40 }), height: fc.integer({ min: 1, max: 40 }) });
  const kernel = fc.constantFrom(
    'nearest' as const,
    'bilinear' as const,
    'bicubic' as const,
    'lanczos' as const,
  );

  test('a window holds what the whole picture holds there', () => {
    const window = fc.record({
      left: fc.integer({ min: -10, max: 40 }),
      top: fc.integer({ min: -10, max: 40 }),
      width: fc.integer({ min: 1, max: 30 }),
      height: fc.integer({ min: 1, max: 30 }),
    });
    fc.assert(
      fc.property(size, size, window, kernel, fc.nat(), (source, target, part, k, seed) => {
        const data = Uint8Array.from(
          { length: source.width * source.height * 3 },
          (_, i) => (i * 31 + seed) * 2_654_435_761,
        );
        const raster = { ...source, data };
        const whole = resample(raster, target, { left: 0, top: 0, ...target }, k);
        const expected = cutOut({ ...target, data: whole }, part);
        expect(Buffer.compare(resample(raster, target, part, k), expected)).toBe(0);
      }),
    );
  });

  test('one colour stays that colour, at any size, to the bit', () => {
    fc.assert(
      fc.property(size, size, kernel, fc.nat(255), (source, target, k, value) => {
        const raster = { ...source, data: new Uint8Array(source.width * source.height * 3).fill(value) };
        const out = resample(raster, target, { left: 0, top: 0, ...target }, k);
        expect(out.every((v) => v === value)).toBe(true);
      }),
    );
  });
});
