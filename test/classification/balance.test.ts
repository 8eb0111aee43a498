import { describe, expect, test } from '@jest/globals';

import type { ClassCount } from '../../src/classification/data-report.ts';
import { balanceOf, rowWeights } from '../../src/classification/balance.ts';
import { epochOrder } from '../../src/training/sampler.ts';
import { sample } from './support.ts';

const counts = (...train: number[]): ClassCount[] =>
  train.map((n, i) => ({ name: `c${i}`, train: n, val: 0, test: 0 }));
const images = (...sizes: number[]) =>
  sizes.flatMap((size, label) =>
    Array.from({ length: size }, (_, i) => sample({ id: `${label}/${i}`, url: 'u', label })),
  );

describe('balance', () => {
  test('is not touched up to 3:1, unless it is asked for', () => {
    const even = balanceOf(counts(30, 10), { use_class_weights: false });
    expect(even).toEqual({
      sampling: 0,
      classWeights: Float32Array.of(1, 1),
      told: 'every image counts the same',
    });
    const asked = balanceOf(counts(30, 10), { use_class_weights: true });
    // 30 and 10 images: inverse weights that are 1 over all forty.
    expect(asked.sampling).toBe(0);
    expect([...asked.classWeights].map((w) => w.toFixed(4))).toEqual(['0.6667', '2.0000']);
    expect(balanceOf(counts(30, 10), { use_class_weights: false, balanced_sampling: true })).toMatchObject({
      sampling: 1,
      classWeights: Float32Array.of(1, 1),
      told: 'rare classes are shown more often',
    });
  });

  test('comes by itself above 3:1: half by sampling, half by weights, together the whole', () => {
    const { sampling, classWeights, told } = balanceOf(counts(160, 10), { use_class_weights: false });
    expect(sampling).toBe(0.5);
    expect(told).toBe('rare classes are shown more often and count more (imbalanced above 3:1)');
    const frequency = [Math.sqrt(160), Math.sqrt(10)];
    const influence = frequency.map((f, i) => f * (classWeights[i] ?? 0));
    expect(influence[0]).toBeCloseTo(influence[1] ?? 0, 4);
  });

  test('leaves sampling alone where that is asked for, and never weighs more than ten', () => {
    const balance = balanceOf(counts(1_000, 1, 0), { use_class_weights: false, balanced_sampling: false });
    expect(balance.sampling).toBe(0);
    expect(balance.classWeights[1]).toBe(10);
    expect(balance.classWeights[2]).toBe(0);
  });
});

describe('how often an image is shown', () => {
  const shownOf = (sizes: readonly number[], sampling: number): number[] => {
    const set = images(...sizes);
    const weights = rowWeights(set, sampling);
    const order = epochOrder({ count: set.length, seed: 1, epoch: 0, ...(weights && { weights }) });
    return sizes.map((_, label) => [...order].filter((row) => set[row]?.label === label).length);
  };

  test('is once where nothing is balanced', () => {
    expect(rowWeights(images(3, 1), 0)).toBeUndefined();
    expect(shownOf([12, 4], 0)).toEqual([12, 4]);
  });

  test('makes classes equally frequent at 1, and goes half of the way, by the root, at one half', () => {
    expect(shownOf([12, 4], 1)).toEqual([8, 8]);
    expect(shownOf([90, 10], 0.5)).toEqual([75, 25]);
  });
});
