import { expect, test } from '@jest/globals';

import { planMicroBatch } from '../../src/training/micro-batch.ts';

test.each([
  [32, 1, 32],
  [32, 46, 32],
  // 1,500 ms have room for 30 rows, and two runs of 16 are as quick as one of 30 and one of 2.
  [32, 50, 16],
  [32, 400, 3],
  [32, 2_000, 1],
  [1, 10, 1],
  [5, 700, 2],
])('of a batch of %d at %d ms a row, a run has %d rows', (batchSize, msPerRow, rows) => {
  expect(planMicroBatch(batchSize, msPerRow)).toBe(rows);
  expect(rows === 1 || rows * msPerRow <= 1_500).toBe(true);
});
