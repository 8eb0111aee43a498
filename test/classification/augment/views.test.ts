import { describe, expect, test } from '@jest/globals';

import { plainView, randomView } from '../../../src/classification/augment/augment.ts';
import { RECIPES, type Recipe } from '../../../src/classification/augment/recipe.ts';
import { flip } from '../../../src/classification/augment/space.ts';
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

test('presets have the changes that they are said to have', () => {
  const parts = Object.fromEntries(PRESETS.map((preset) => [preset, Object.keys(RECIPES[preset])]));
  expect(parts).toEqual({
    none: [],
    light: ['crop', 'flip'],
    medium: ['crop', 'flip', 'colour'],
    heavy: ['crop', 'flip', 'colour', 'grey', 'blur', 'noise', 'erase'],
    sota: ['crop', 'flip', 'randAugment', 'colour', 'blur', 'noise', 'erase'],
  });
  expect(RECIPES.sota.randAugment).toMatchObject({ changes: 2, magnitude: 9 });
});

describe('each change happens where the recipe has it, by its probability', () => {
  const plain = plainView(picture(), SIZE);
  const with_ = (recipe: Recipe, key: number) => randomView(picture(), { size: SIZE, recipe, keys: [key] });
  const PARTS: [string, (probability: number) => Recipe][] = [
    ['flip', (probability) => ({ flip: { probability } })],
    ['colour', (probability) => ({ colour: { probability, factor: 0.4, hueDegrees: 15 } })],
    ['grey', (probability) => ({ grey: { probability } })],
    ['blur', (probability) => ({ blur: { probability, deviation: [8, 12] } })],
    ['noise', (probability) => ({ noise: { probability, deviation: 12 } })],
    ['erase', (probability) => ({ erase: { probability, share: [0.1, 0.2] } })],
    [
      'randAugment',
      (probability) => ({ randAugment: { changes: 8, magnitude: 9, magnitudeDeviation: 0, probability } }),
    ],
  ];
  test.each(PARTS)('%s', (_, recipeOf) => {
    for (let key = 0; key < 5; key += 1) {
      expect(with_(recipeOf(0), key)).toEqual(plain);
      expect(with_(recipeOf(1), key)).not.toEqual(plain);
    }
  });

  test('a flip is the mirror, grey has one value a pixel', () => {
    const mirrored = { data: Uint8Array.from(plain), ...SIZE };
    flip(mirrored);
    expect(with_({ flip: { probability: 1 } }, 1)).toEqual(mirrored.data);
    const grey = with_({ grey: { probability: 1 } }, 1);
    expect(grey.every((value, i) => value === grey[i - (i % 3)])).toBe(true);
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
