import { describe, expect, test } from '@jest/globals';

import { learningRateAt, type Schedule } from '../../src/training/schedules.ts';

const rates = (schedule: Schedule, steps: readonly number[]): number[] =>
  steps.map((step) => learningRateAt(schedule, { step }));

const close = (found: readonly number[], expected: readonly number[]): void => {
  expect(found).toHaveLength(expected.length);
  found.forEach((rate, i) => expect(rate).toBeCloseTo(expected[i] ?? NaN, 12));
};

describe('cosine', () => {
  test('warms up in a line, is at the base when warm, halfway at half the way, and stays at the floor', () => {
    const schedule: Schedule = { kind: 'cosine', base: 1, total: 14, warmup: 4, floor: 0.2 };
    close(rates(schedule, [0, 1, 3, 4, 9, 14, 99]), [0.25, 0.5, 1, 1, 0.6, 0.2, 0.2]);
  });

  test('without a warm-up it begins at the base', () => {
    // base · (1 + cos(pi · step / total)) / 2, as torch's CosineAnnealingLR
    close(rates({ kind: 'cosine', base: 2, total: 3 }, [0, 1, 2, 3]), [2, 1.5, 0.5, 0]);
  });

  test('a run that is all warm-up has finite rates', () => {
    expect(rates({ kind: 'cosine', base: 1, total: 2, warmup: 2 }, [0, 1, 2])).toEqual([0.5, 1, 1]);
  });
});

describe('one cycle', () => {
  test("begins, peaks and ends where torch's OneCycleLR does", () => {
    // total 10, up share 0.3: the peak is at step 2, the last step is 9.
    const found = rates({ kind: 'onecycle', peak: 1, total: 10 }, [0, 1, 2, 9]);
    close(found, [0.04, 0.52, 1, 4e-6]);
  });

  test('goes down all the way from the peak', () => {
    const found = rates({ kind: 'onecycle', peak: 1, total: 10 }, [2, 3, 4, 5, 6, 7, 8, 9]);
    found.slice(1).forEach((rate, i) => expect(rate).toBeLessThan(found[i] ?? 0));
  });

  test.each([1, 2, 3])('of %d steps has finite rates', (total) => {
    for (const rate of rates({ kind: 'onecycle', peak: 1, total }, [0, 1, 2, 3])) {
      expect(rate).toBeGreaterThan(0);
      expect(rate).toBeLessThanOrEqual(1);
    }
  });
});

test('step: lowered after so many steps, counted from the end of the warm-up', () => {
  const schedule: Schedule = { kind: 'step', base: 1, every: 3, factor: 0.5, warmup: 2 };
  close(rates(schedule, [0, 1, 2, 4, 5, 7, 8]), [0.5, 1, 1, 1, 0.5, 0.5, 0.25]);
});

describe('plateau', () => {
  const plateau: Schedule = { kind: 'plateau', base: 1, better: 'higher', factor: 0.5, patience: 1 };
  const after = (schedule: Schedule, metrics: number[]): number =>
    learningRateAt(schedule, { step: 100, metrics });

  test('waits out its patience, lowers, and waits anew', () => {
    const metrics = [0.5, 0.6, 0.6, 0.59, 0.6, 0.6, 0.7];
    const found = metrics.map((_, i) => after(plateau, metrics.slice(0, i + 1)));
    expect(found).toEqual([1, 1, 1, 0.5, 0.5, 0.25, 0.25]);
  });

  test('where lower is better, falling is progress', () => {
    expect(after({ ...plateau, better: 'lower' }, [3, 2, 1, 0.5])).toBe(1);
    expect(after({ ...plateau, better: 'lower' }, [1, 2, 3])).toBe(0.5);
  });

  test('better by less than a ten-thousandth is no progress; NaN is none either', () => {
    expect(after(plateau, [0.5, 0.50001, 0.50002])).toBe(0.5);
    expect(after(plateau, [0.5, NaN, NaN])).toBe(0.5);
  });

  test('not below its floor', () => {
    expect(after({ ...plateau, floor: 0.4 }, [1, 0, 0, 0, 0])).toBe(0.4);
  });
});
