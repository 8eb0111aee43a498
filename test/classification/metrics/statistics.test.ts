import { expect, test } from '@jest/globals';

import { statisticsOf } from '../../../src/classification/metrics/statistics.ts';

test('mean and deviation of each feature', () => {
  const { mean, deviation } = statisticsOf(Float32Array.of(1, 10, 3, 30), 2);
  expect([...mean]).toEqual([2, 20]);
  expect([...deviation]).toEqual([1, 10]);
});

test('a feature that hardly moved counts as a tenth of the typical one, so that it cannot outshout the others', () => {
  const { deviation } = statisticsOf(Float32Array.of(-1, 5, -1, 1, 5, 1), 3);
  expect(deviation[0]).toBe(1);
  expect(deviation[1]).toBeCloseTo(0.1 * Math.sqrt(2 / 3), 6);
});

test('features that never move at all are not divided by nothing', () => {
  expect([...statisticsOf(new Float32Array(6), 2).deviation].every((value) => value > 0)).toBe(true);
});
