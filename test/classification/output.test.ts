import { expect, test } from '@jest/globals';

import { toldMetrics, type RunMetrics } from '../../src/classification/output.ts';

function metricsOf(classes: number): RunMetrics {
  return {
    best_val_acc: 90,
    best_epoch: 1,
    total_time: 1,
    best_val_f1: 0.9,
    best_val_top5_acc: 99,
    val_loss: 0.1,
    ece: 0.1,
    ece_calibrated: 0.1,
    temperature: 1,
    baselines: null,
    head_acc: null,
    test: null,
    confusion_matrix: Array.from({ length: classes }, () => new Array<number>(classes).fill(0)),
    per_class: {},
  };
}

test('a confusion matrix stands in the output, unless it alone would be more than the platform takes', () => {
  expect(toldMetrics(metricsOf(3))).toEqual(metricsOf(3));
  const told = toldMetrics(metricsOf(3_300));
  expect(told).toEqual({ ...metricsOf(0), confusion_matrix: null });
});
