import { describe, expect, test } from '@jest/globals';

import { plainView, randomView } from '../../../src/classification/augment/augment.ts';
import { RECIPES } from '../../../src/classification/augment/recipe.ts';
import { PRESETS, type AugmentationPreset } from '../../../src/classification/input-config.ts';
import { createRandom } from '../../../src/classification/random.ts';
import { mean, picture } from './support.ts';

const SIZE = { width: 24, height: 24 };
const view = (preset: AugmentationPreset, ...keys: (string | number)[]): Uint8Array =>
  randomView(picture(), { size: SIZE, recipe: RECIPES[preset], keys });

test('none is the picture as the model sees it when it is used', () => {
  expect(view('none', 1)).toEqual(plainView(picture(), SIZE));
  const { data } = picture();
  // The middle of 40 x 30: 8 from the left, 3 from the top.
  expect(plainView(picture(), SIZE).slice(0, 3)).toEqual(data.slice((3 * 40 + 8) * 3, (3 * 40 + 8) * 3 + 3));
});

test('a picture smaller than the view has zeros around it', () => {
  const padded = plainView(picture(20, 30), SIZE);
  expect(padded.slice(0, 6)).toEqual(new Uint8Array(6));
  expect(padded).toHaveLength(24 * 24 * 3);
});

describe.each(PRESETS.filter((preset) => preset !== 'none'))('%s', (preset) => {
  test('the same keys give the same view, other keys another', () => {
    const one = view(preset, 42, 3, 'image');
    expect(view(preset, 42, 3, 'image')).toEqual(one);
    expect(view(preset, 42, 4, 'image')).not.toEqual(one);
    expect(view(preset, 42, 3, 'other')).not.toEqual(one);
    expect(view(preset, 43, 3, 'image')).not.toEqual(one);
  });

  test('a view has the size asked for, and the picture itself is not touched', () => {
    const source = picture();
    for (let i = 0; i < 50; i += 1) {
      const out = randomView(source, { size: SIZE, recipe: RECIPES[preset], keys: [i] });
      expect(out).toHaveLength(24 * 24 * 3);
    }
    expect(source).toEqual(picture());
  });

  test('on the whole a picture stays as bright as it was', () => {
    const views = Array.from({ length: 200 }, (_, i) => mean(view(preset, i)));
    expect(Math.abs(mean(views) - mean(picture().data))).toBeLessThan(12);
  });
});

test('stronger presets change more', () => {
  const plain = plainView(picture(), SIZE);
  const change = (preset: AugmentationPreset): number =>
    mean(
      Array.from({ length: 150 }, (_, i) =>
        mean(view(preset, i).map((value, k) => Math.abs(value - (plain[k] ?? 0)))),
      ),
    );
  // A smooth picture would tell them apart by the crop alone; this one shows each change of place fully.
  expect(change('light')).toBeGreaterThan(0);
  const brightness = (preset: AugmentationPreset): number => {
    const means = Array.from({ length: 150 }, (_, i) => mean(view(preset, i)));
    return Math.max(...means) - Math.min(...means);
  };
  expect(brightness('medium')).toBeGreaterThan(2 * brightness('light'));
  expect(brightness('heavy')).toBeGreaterThan(brightness('medium'));
  expect(brightness('sota')).toBeGreaterThan(brightness('medium'));
});

describe('random numbers', () => {
  test('are even, normal and Beta as they should be', () => {
    const random = createRandom('statistics');
    const evenly = Array.from({ length: 20_000 }, () => random.next());
    expect(mean(evenly)).toBeCloseTo(0.5, 1);
    const normal = Array.from({ length: 20_000 }, () => random.normal());
    expect(Math.abs(mean(normal))).toBeLessThan(0.03);
    expect(mean(normal.map((x) => x * x))).toBeGreaterThan(0.96);
    expect(mean(normal.map((x) => x * x))).toBeLessThan(1.04);
    for (const alpha of [0.2, 0.8, 1, 4]) {
      const beta = Array.from({ length: 20_000 }, () => random.beta(alpha));
      expect(Math.abs(mean(beta) - 0.5)).toBeLessThan(0.02);
      // Var of Beta(a, a) is 1 / (4 (2a + 1)).
      const variance = mean(beta.map((x) => (x - 0.5) ** 2));
      expect(variance * 4 * (2 * alpha + 1)).toBeGreaterThan(0.95);
      expect(variance * 4 * (2 * alpha + 1)).toBeLessThan(1.05);
    }
  });
});
