import { expect, test } from '@jest/globals';

import { normal, randomStream } from '../../src/training/random.ts';

const take = (count: number, random: () => number): number[] => Array.from({ length: count }, random);

test('the same numbers name the same stream, others another', () => {
  const first = take(20, randomStream(7, 1, 2));
  expect(take(20, randomStream(7, 1, 2))).toEqual(first);
  for (const other of [
    randomStream(7, 1, 3),
    randomStream(7, 2, 1),
    randomStream(8, 1, 2),
    randomStream(7, 1),
  ]) {
    expect(take(20, other)).not.toEqual(first);
  }
});

test('even over [0, 1), and neighbouring streams have nothing in common', () => {
  const count = 20_000;
  const a = take(count, randomStream(1, 0));
  const b = take(count, randomStream(1, 1));
  const mean = (values: number[]): number => values.reduce((x, y) => x + y, 0) / values.length;
  expect(Math.min(...a)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...a)).toBeLessThan(1);
  expect(mean(a)).toBeCloseTo(0.5, 1);
  expect(mean(a.map((x) => (x - 0.5) ** 2))).toBeCloseTo(1 / 12, 2);
  // Correlation of independent numbers: 1 / sqrt(count) = 0.007 deviation.
  expect(Math.abs(mean(a.map((x, i) => (x - 0.5) * ((b[i] ?? 0) - 0.5))) * 12)).toBeLessThan(0.03);
});

test('normal numbers have mean 0 and deviation 1', () => {
  const random = randomStream(3);
  const values = take(20_000, () => normal(random));
  const mean = values.reduce((x, y) => x + y, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  expect(Math.abs(mean)).toBeLessThan(0.03);
  expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  expect(values.every(Number.isFinite)).toBe(true);
});
