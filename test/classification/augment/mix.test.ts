import { describe, expect, test } from '@jest/globals';

import { mixedTargets, mixPictures, planMix, type MixPlan } from '../../../src/classification/augment/mix.ts';
import { createRandom } from '../../../src/classification/random.ts';
import { mean } from './support.ts';

const SIZE = { width: 4, height: 4 };
const BYTES = 48;
const batch = (...values: number[]): Uint8Array =>
  Uint8Array.from({ length: values.length * BYTES }, (_, i) => values[Math.floor(i / BYTES)] ?? 0);
const ONES = new Float32Array(3).fill(1);

describe('which way', () => {
  const plans = (mixupAlpha: number, cutmixAlpha: number, count = 400): (MixPlan | null)[] => {
    const random = createRandom('mix');
    return Array.from({ length: count }, () =>
      planMix({ mixupAlpha, cutmixAlpha }, { width: 32, height: 32 }, random),
    );
  };

  test('is the one that is on, half and half where both are, and none where neither is', () => {
    expect(plans(0, 0, 1)).toEqual([null]);
    expect(new Set(plans(0.8, 0).map((plan) => plan?.kind))).toEqual(new Set(['mixup']));
    expect(new Set(plans(0, 1).map((plan) => plan?.kind))).toEqual(new Set(['cutmix']));
    const cuts = plans(0.8, 1).filter((plan) => plan?.kind === 'cutmix').length;
    expect(cuts).toBeGreaterThan(150);
    expect(cuts).toBeLessThan(250);
  });

  test('a cut says exactly which share it leaves', () => {
    for (const plan of plans(0, 1)) {
      if (plan?.kind !== 'cutmix') throw new TypeError('no cut');
      expect(plan.left).toBeGreaterThanOrEqual(0);
      expect(plan.left + plan.width).toBeLessThanOrEqual(32);
      expect(plan.top + plan.height).toBeLessThanOrEqual(32);
      expect(plan.share).toBeCloseTo(1 - (plan.width * plan.height) / 1_024, 10);
    }
  });

  test('shares of mixup are Beta: 0.5 on the whole', () => {
    expect(mean(plans(0.8, 0, 2_000).map((plan) => plan?.share ?? 0))).toBeCloseTo(0.5, 1);
  });
});

test('mixup blends each picture with its partner, and targets say how much of each', () => {
  const pixels = batch(100, 50, 200);
  const plan: MixPlan = { kind: 'mixup', share: 0.75 };
  mixPictures(pixels, 3, SIZE, plan);
  expect(pixels).toEqual(batch(125, 50, 175));
  const { targets, weights } = mixedTargets([0, 1, 2], { classes: 3, classWeights: ONES, plan });
  expect([...targets]).toEqual([0.75, 0, 0.25, 0, 1, 0, 0.25, 0, 0.75]);
  expect([...weights]).toEqual([1, 1, 1]);
});

test('cutmix swaps one rectangle between partners', () => {
  const pixels = batch(1, 2);
  mixPictures(pixels, 2, SIZE, { kind: 'cutmix', share: 0.75, left: 1, top: 2, width: 2, height: 2 });
  const twos = [];
  for (let p = 0; p < 16; p += 1) if (pixels[p * 3] === 2) twos.push(p);
  expect(twos).toEqual([9, 10, 13, 14]);
  expect(mean(pixels)).toBe(1.5);
});

test('only the pictures that are there are mixed', () => {
  const pixels = batch(10, 20, 99);
  mixPictures(pixels, 2, SIZE, { kind: 'mixup', share: 0.5 });
  expect(pixels).toEqual(batch(15, 15, 99));
});

test('unmixed rows are one-hot, and each row of any mixture sums to 1', () => {
  const plain = mixedTargets([2, 0], { classes: 3, classWeights: Float32Array.of(1, 2, 3), plan: null });
  expect([...plain.targets]).toEqual([0, 0, 1, 1, 0, 0]);
  expect([...plain.weights]).toEqual([3, 1]);
  const mixed = mixedTargets([2, 0, 2, 1], {
    classes: 3,
    classWeights: Float32Array.of(1, 2, 4),
    plan: { kind: 'mixup', share: 0.25 },
  });
  for (let row = 0; row < 4; row += 1)
    expect(mean(mixed.targets.subarray(row * 3, row * 3 + 3)) * 3).toBeCloseTo(1, 6);
  expect([...mixed.weights]).toEqual([2.5, 3.25, 1.75, 3.5]);
});
