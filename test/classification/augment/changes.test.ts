import { describe, expect, test } from '@jest/globals';

import { changeColour } from '../../../src/classification/augment/colour.ts';
import { addNoise, blur, sharpen } from '../../../src/classification/augment/grain.ts';
import { CHANGES, randAugment } from '../../../src/classification/augment/rand-augment.ts';
import {
  cropTo,
  erase,
  flip,
  place,
  randomWindow,
  rotation,
} from '../../../src/classification/augment/space.ts';
import {
  autoContrast,
  equalize,
  invert,
  posterize,
  solarize,
  solarizeAdd,
} from '../../../src/classification/augment/tables.ts';
import { createRandom } from '../../../src/classification/random.ts';
import type { Raster } from '../../../src/image/resample.ts';
import { copyOf, deviation, even, mean, picture } from './support.ts';

const pixel = (...rgb: number[]): Raster => ({
  data: Uint8Array.from(rgb),
  width: rgb.length / 3,
  height: 1,
});
const changed = (raster: Raster, change: (r: Raster) => void): number[] => {
  change(raster);
  return [...raster.data];
};

describe('tables', () => {
  test('invert, posterize, solarize, solarizeAdd: by hand', () => {
    expect(changed(pixel(0, 100, 255), invert)).toEqual([255, 155, 0]);
    expect(changed(pixel(0x12, 0xab, 0xff), (r) => posterize(r, 4))).toEqual([0x10, 0xa0, 0xf0]);
    expect(changed(pixel(127, 128, 200), (r) => solarize(r, 128))).toEqual([127, 127, 55]);
    expect(changed(pixel(127, 128, 20), (r) => solarizeAdd(r, 50))).toEqual([177, 128, 70]);
  });

  test('autoContrast stretches each channel; a channel of one value stays', () => {
    expect(changed(pixel(50, 7, 0, 100, 7, 255, 150, 7, 10), autoContrast)).toEqual([
      0, 7, 0, 128, 7, 255, 255, 7, 10,
    ]);
  });

  test('equalize spreads four equally frequent values evenly, and leaves one value alone', () => {
    const data = Uint8Array.from({ length: 4 * 256 * 3 }, (_, i) => 10 + (Math.floor(i / 3) % 4));
    const spread = changed({ data, width: 4, height: 256 }, equalize);
    // Of 1,024 pixels in steps of (1024 − 256) / 255 = 3: 1/3, 257/3, 513/3, 769/3, at most 255.
    expect([...new Set(spread)]).toEqual([0, 85, 171, 255]);
    expect(changed(even(9), equalize).every((value) => value === 9)).toBe(true);
  });
});

describe('colour', () => {
  test('factors of 1 and no turn change nothing', () => {
    const before = picture();
    const after = copyOf(before);
    changeColour(after, {});
    changeColour(after, { brightness: 1, contrast: 1, saturation: 1, hueDegrees: 0 });
    expect(after).toEqual(before);
  });

  test('brightness scales, contrast 0 is the mean grey, saturation 0 is the luma', () => {
    expect(changed(pixel(100, 200, 10), (r) => changeColour(r, { brightness: 1.5 }))).toEqual([150, 255, 15]);
    expect(changed(pixel(255, 0, 0, 0, 0, 0), (r) => changeColour(r, { contrast: 0 }))).toEqual([
      38, 38, 38, 38, 38, 38,
    ]);
    expect(changed(pixel(255, 0, 0), (r) => changeColour(r, { saturation: 0 }))).toEqual([76, 76, 76]);
  });

  test('a turn of the hue keeps greys, keeps the luma about, and a whole turn is none', () => {
    expect(changed(pixel(90, 90, 90), (r) => changeColour(r, { hueDegrees: 120 }))).toEqual([90, 90, 90]);
    const [r = 0, g = 0, b = 0] = changed(pixel(150, 100, 80), (p) => changeColour(p, { hueDegrees: 60 }));
    expect(0.299 * r + 0.587 * g + 0.114 * b).toBeCloseTo(0.299 * 150 + 0.587 * 100 + 0.114 * 80, -0.5);
    const whole = changed(pixel(150, 100, 80), (p) => changeColour(p, { hueDegrees: 360 }));
    whole.forEach((value, i) => expect(Math.abs(value - ([150, 100, 80][i] ?? 0))).toBeLessThanOrEqual(1));
  });
});

describe('space', () => {
  test('flip mirrors, and twice is none', () => {
    expect(changed(pixel(1, 2, 3, 4, 5, 6, 7, 8, 9), flip)).toEqual([7, 8, 9, 4, 5, 6, 1, 2, 3]);
    const twice = picture();
    flip(twice);
    flip(twice);
    expect(twice).toEqual(picture());
  });

  test('random windows lie inside, with areas and ratios as asked', () => {
    const random = createRandom(1);
    const range = { scale: [0.3, 0.5], ratio: [0.75, 4 / 3] } as const;
    for (let i = 0; i < 500; i += 1) {
      const { left, top, width, height } = randomWindow({ width: 300, height: 200 }, range, random);
      expect(left).toBeGreaterThanOrEqual(0);
      expect(top).toBeGreaterThanOrEqual(0);
      expect(left + width).toBeLessThanOrEqual(300);
      expect(top + height).toBeLessThanOrEqual(200);
      expect((width * height) / 60_000).toBeGreaterThan(0.29);
      expect((width * height) / 60_000).toBeLessThan(0.51);
      expect(width / height).toBeGreaterThan(0.74);
      expect(width / height).toBeLessThan(1.35);
    }
  });

  test('where nothing fits it is the middle', () => {
    const range = { scale: [1, 1], ratio: [0.75, 4 / 3] } as const;
    expect(randomWindow({ width: 400, height: 100 }, range, createRandom(1))).toEqual({
      left: 133,
      top: 0,
      width: 133,
      height: 100,
    });
  });

  test('a crop of the size asked for is cut, another is resized', () => {
    const source = picture();
    const window = { left: 5, top: 3, width: 16, height: 12 };
    const cut = cropTo(source, window, { width: 16, height: 12 });
    expect(cut.data.slice(0, 6)).toEqual(source.data.slice((3 * 40 + 5) * 3, (3 * 40 + 5) * 3 + 6));
    expect(cropTo(source, window, { width: 8, height: 8 }).data).toHaveLength(8 * 8 * 3);
  });

  test('placing: none is the same, a shift moves whole pixels, a quarter turn of a square is one', () => {
    const source = picture(9, 9);
    expect(place(source, [1, 0, 0, 0, 1, 0])).toEqual(source);
    const moved = place(source, [1, 0, 2, 0, 1, 0]);
    expect(moved.data.slice(0, 7 * 3)).toEqual(source.data.slice(2 * 3, 9 * 3));
    expect(moved.data.slice(7 * 3, 9 * 3)).toEqual(new Uint8Array(6).fill(128));
    const turned = place(source, rotation(90));
    const at = (r: Raster, x: number, y: number): number => r.data[(y * 9 + x) * 3] ?? -1;
    // x' = y and y' = −x around the middle.
    for (const [x, y] of [
      [1, 2],
      [4, 4],
      [7, 3],
    ] as const)
      expect(at(turned, x, y)).toBe(at(source, y, 8 - x));
  });

  test('erasing changes one rectangle of the share asked for, and nothing else', () => {
    const random = createRandom(3);
    for (let i = 0; i < 50; i += 1) {
      const target = even(300, 60, 60);
      target.data.fill(7);
      erase(target, [0.1, 0.1], random);
      const touched = [];
      for (let p = 0; p < 3_600; p += 1)
        if ([0, 1, 2].some((k) => target.data[p * 3 + k] !== 7)) touched.push(p);
      const [xs, ys] = [touched.map((p) => p % 60), touched.map((p) => Math.floor(p / 60))];
      const box = (Math.max(...xs) - Math.min(...xs) + 1) * (Math.max(...ys) - Math.min(...ys) + 1);
      expect(touched.length).toBeGreaterThan(box * 0.97);
      expect(box / 3_600).toBeGreaterThan(0.08);
      expect(box / 3_600).toBeLessThan(0.12);
    }
  });
});

describe('grain', () => {
  test('a blur keeps the mean and an even picture, and softens', () => {
    const source = picture();
    const soft = blur(source, 1.2);
    expect(Math.abs(mean(soft.data) - mean(source.data))).toBeLessThan(1);
    expect(deviation(soft.data)).toBeLessThan(deviation(source.data) / 2);
    expect(blur(even(77), 2)).toEqual(even(77));
  });

  test('a blurred point is the Gaussian', () => {
    const source = even(0, 21, 21);
    source.data.fill(255, (10 * 21 + 10) * 3, (10 * 21 + 10) * 3 + 3);
    const soft = blur(source, 1);
    const middle = soft.data[(10 * 21 + 10) * 3] ?? 0;
    const beside = soft.data[(10 * 21 + 11) * 3] ?? 0;
    expect(middle).toBe(41);
    expect(beside).toBe(Math.round(40.8 * Math.exp(-0.5)));
  });

  test('noise has the deviation asked for and mean zero', () => {
    const noisy = even(128, 100, 100);
    addNoise(noisy, 10, createRandom(5));
    expect(Math.abs(mean(noisy.data) - 128)).toBeLessThan(0.5);
    expect(deviation(noisy.data)).toBeGreaterThan(9.5);
    expect(deviation(noisy.data)).toBeLessThan(10.5);
  });

  test('sharpening by 1 changes nothing, by 0 smooths, by 2 goes the other way as far', () => {
    const source = picture();
    expect(sharpen(source, 1)).toEqual(source);
    expect(deviation(sharpen(source, 0).data)).toBeLessThan(deviation(source.data));
    expect(deviation(sharpen(source, 2).data)).toBeGreaterThan(deviation(source.data));
  });
});

describe('RandAugment', () => {
  const names = Object.keys(CHANGES);

  test.each(names)('%s at full strength changes a picture and keeps its size', (name) => {
    const source = picture();
    source.data = source.data.map((value) => 40 + (value >> 1));
    const out = CHANGES[name]?.(copyOf(source), 1, 1);
    expect(out).toMatchObject({ width: 40, height: 30 });
    expect(out?.data).toHaveLength(source.data.length);
    expect(Buffer.from(out?.data ?? []).equals(Buffer.from(source.data))).toBe(false);
  });

  test.each(names.filter((name) => !['autoContrast', 'equalize', 'invert'].includes(name)))(
    '%s at no strength changes nothing',
    (name) => {
      const source = picture();
      expect(CHANGES[name]?.(copyOf(source), 0, 1).data).toEqual(source.data);
    },
  );

  test('with a probability of 0 nothing happens; the seed decides what does', () => {
    const spec = { changes: 2, magnitude: 9, magnitudeDeviation: 0.5, probability: 0.5 };
    expect(randAugment(picture(), { ...spec, probability: 0 }, createRandom(1))).toEqual(picture());
    const results = Array.from({ length: 20 }, (_, i) =>
      Buffer.from(randAugment(picture(), { ...spec, probability: 1 }, createRandom(i)).data).toString(
        'latin1',
      ),
    );
    expect(new Set(results).size).toBeGreaterThan(15);
  });
});
