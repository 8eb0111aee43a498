import { describe, expect, test } from '@jest/globals';

import type { EpochRow } from '../../src/classification/epoch-row.ts';
import { bestOf, isStuck } from '../../src/classification/train/history.ts';

const rows = (...values: [accuracy: number, loss: number, f1?: number][]): EpochRow[] =>
  values.map(([val_accuracy, val_loss, val_f1 = 0], i) => ({
    epoch: i + 1,
    train_loss: 0,
    val_loss,
    val_accuracy,
    val_f1,
    val_top5_accuracy: 0,
    learning_rate: 0,
    epoch_duration_seconds: 0,
    extra_metrics: {},
  }));

describe('the best epoch', () => {
  const some = rows([90, 0.3, 0.7], [95, 0.4, 0.9], [95, 0.2, 0.8], [80, 0.1, 0.9]);

  test('is by the metric, of equal ones the one with the lowest loss', () => {
    expect(bestOf(some, 'val_accuracy')?.epoch).toBe(3);
    expect(bestOf(some, 'val_f1')?.epoch).toBe(4);
    expect(bestOf(some, 'val_loss')?.epoch).toBe(4);
    expect(bestOf([], 'val_loss')).toBeUndefined();
  });
});

describe('a run is stuck', () => {
  const options = { early_stopping: true, early_stopping_metric: 'val_accuracy', patience: 2 } as const;

  test('after so many epochs that were no better, a lower loss at the same accuracy notwithstanding', () => {
    expect(isStuck(rows([90, 3], [95, 2], [95, 1]), options)).toBe(false);
    expect(isStuck(rows([90, 3], [95, 2], [95, 1], [94, 0]), options)).toBe(true);
    expect(isStuck(rows([90, 3], [95, 2], [94, 1], [96, 0]), options)).toBe(false);
  });

  test('never where early stopping is off, and not before it began', () => {
    expect(isStuck(rows([90, 3], [1, 2], [1, 1], [1, 0]), { ...options, early_stopping: false })).toBe(false);
    expect(isStuck([], options)).toBe(false);
  });
});
