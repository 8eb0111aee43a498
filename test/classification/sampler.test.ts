import { describe, expect, test } from '@jest/globals';

import type { ClassCount } from '../../src/classification/data-report.ts';
import { balanceOf, epochOrder } from '../../src/classification/sampler.ts';
import { sample } from './support.ts';

const counts = (...train: number[]): ClassCount[] =>
  train.map((n, i) => ({ name: `c${i}`, train: n, val: 0, test: 0 }));
const images = (...sizes: number[]) =>
  sizes.flatMap((size, label) =>
    Array.from({ length: size }, (_, i) => sample({ id: `${label}/${i}`, url: 'u', label })),
  );
const shown = (order: readonly { label: number }[], label: number): number =>
  order.filter((s) => s.label === label).length;

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

describe('the order of an epoch', () => {
  const set = images(12, 4);

  test('shows each image once where nothing is balanced, and seed and epoch decide how', () => {
    const order = epochOrder(set, { seed: 1, epoch: 1, sampling: 0 });
    expect(order.map(({ id }) => id).sort()).toEqual(set.map(({ id }) => id).sort());
    expect(epochOrder(set, { seed: 1, epoch: 1, sampling: 0 })).toEqual(order);
    expect(epochOrder(set, { seed: 1, epoch: 2, sampling: 0 })).not.toEqual(order);
    expect(epochOrder(set, { seed: 2, epoch: 1, sampling: 0 })).not.toEqual(order);
    expect(set[0]?.id).toBe('0/0');
  });

  test('shows classes equally often at 1, and in between by the root', () => {
    const equal = epochOrder(set, { seed: 1, epoch: 1, sampling: 1 });
    expect([shown(equal, 0), shown(equal, 1)]).toEqual([8, 8]);
    const root = epochOrder(images(90, 10), { seed: 1, epoch: 1, sampling: 0.5 });
    expect([shown(root, 0), shown(root, 1)]).toEqual([75, 25]);
  });

  test('shows no image again before all others of its class, from epoch to epoch', () => {
    const seen = [1, 2, 3].flatMap((epoch) => epochOrder(set, { seed: 5, epoch, sampling: 1 }));
    const times = (label: number): number[] => {
      const by = new Map<string, number>();
      for (const { id } of seen.filter((s) => s.label === label)) by.set(id, (by.get(id) ?? 0) + 1);
      return [...by.values()];
    };
    expect(times(0)).toEqual(new Array<number>(12).fill(2));
    expect(times(1)).toEqual(new Array<number>(4).fill(6));
  });
});
