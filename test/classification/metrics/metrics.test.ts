import { describe, expect, test } from '@jest/globals';

import { calibrate, calibrationError } from '../../../src/classification/metrics/calibration.ts';
import { classificationMetrics } from '../../../src/classification/metrics/metrics.ts';
import { worstMistakes } from '../../../src/classification/metrics/worst.ts';
import { createRandom } from '../../../src/classification/random.ts';

/** Logits whose softmax is these probabilities. */
const logitsOf = (rows: readonly (readonly number[])[]): Float32Array =>
  Float32Array.from(rows.flat(), Math.log);

test('by hand: three classes, six images', () => {
  const logits = logitsOf([
    [0.7, 0.2, 0.1],
    [0.2, 0.5, 0.3],
    [0.1, 0.8, 0.1],
    [0.3, 0.6, 0.1],
    [0.2, 0.3, 0.5],
    [0.6, 0.3, 0.1],
  ]);
  const metrics = classificationMetrics({ logits, labels: [0, 0, 1, 1, 2, 2], classes: 3 });
  expect(metrics.confusion).toEqual([
    [1, 1, 0],
    [0, 2, 0],
    [1, 0, 1],
  ]);
  expect(metrics.accuracy).toBeCloseTo(66.6667, 3);
  expect(metrics.top5Accuracy).toBe(100);
  expect(metrics.perClass).toEqual([
    { precision: 0.5, recall: 0.5, f1: 0.5, support: 2 },
    { precision: 2 / 3, recall: 1, f1: 0.8, support: 2 },
    { precision: 1, recall: 0.5, f1: 2 / 3, support: 2 },
  ]);
  expect(metrics.macroF1).toBeCloseTo((0.5 + 0.8 + 2 / 3) / 3, 10);
  const expected =
    -(Math.log(0.7) + Math.log(0.2) + Math.log(0.8) + Math.log(0.6) + Math.log(0.5) + Math.log(0.1)) / 6;
  expect(metrics.loss).toBeCloseTo(expected, 5);
});

test('the five likeliest of seven', () => {
  const row = [0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05];
  const metrics = classificationMetrics({ logits: logitsOf([row, row, row]), labels: [0, 4, 5], classes: 7 });
  expect(metrics.top5Accuracy).toBeCloseTo(66.6667, 3);
  expect(metrics.accuracy).toBeCloseTo(33.3333, 3);
});

test('a class without images has no part in the mean of F1; without any image there is nothing', () => {
  const { macroF1, perClass } = classificationMetrics({
    logits: logitsOf([[0.8, 0.1, 0.1]]),
    labels: [0],
    classes: 3,
  });
  expect(macroF1).toBe(1);
  expect(perClass[2]).toEqual({ precision: 0, recall: 0, f1: 0, support: 0 });
  expect(classificationMetrics({ logits: new Float32Array(0), labels: [], classes: 2 })).toMatchObject({
    accuracy: 0,
    macroF1: 0,
    loss: 0,
  });
});

test('large logits lose nothing', () => {
  const { loss } = classificationMetrics({ logits: Float32Array.of(1_000, 999), labels: [1], classes: 2 });
  expect(loss).toBeCloseTo(1 + Math.log(1 + Math.exp(-1)), 5);
});

describe('calibration', () => {
  test('by hand: ten at 0.75 of which six are right, ten at 0.95 of which all are', () => {
    const rows = [...new Array(10).fill([0.75, 0.25]), ...new Array(10).fill([0.95, 0.05])] as number[][];
    const labels = Array.from({ length: 20 }, (_, i) => (i < 6 || i >= 10 ? 0 : 1));
    const predictions = { logits: logitsOf(rows), labels, classes: 2 };
    expect(calibrationError(predictions)).toBeCloseTo((0.15 * 10 + 0.05 * 10) / 20, 5);
  });

  test('finds the temperature that logits were sharpened by, and mends the error', () => {
    const random = createRandom('calibration');
    const [rows, labels]: [number[][], number[]] = [[], []];
    for (let i = 0; i < 4_000; i += 1) {
      const right = 0.5 + random.next() / 2;
      rows.push([right, 1 - right]);
      labels.push(random.chance(right) ? 0 : 1);
    }
    const logits = logitsOf(rows).map((value) => value * 3);
    const { temperature, before, after } = calibrate({ logits, labels, classes: 2 });
    expect(temperature).toBeGreaterThan(2.7);
    expect(temperature).toBeLessThan(3.3);
    expect(before).toBeGreaterThan(0.1);
    expect(after).toBeLessThan(0.03);
  });

  test('is measured on other images than those which the temperature was found on', () => {
    // Every other image is right, which asks for the coldest temperature, and those between are wrong.
    const logits = Float32Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 1 : 0));
    const labels = Array.from({ length: 20 }, (_, i) => i % 2);
    const { before, after } = calibrate({ logits, labels, classes: 2 });
    const sure = (logit: number): number => 1 / (1 + Math.exp(-logit));
    expect(before).toBeCloseTo(sure(1) - 0.5, 5);
    expect(after).toBeCloseTo((1 - sure(1 / 10) + sure(1 / 0.2)) / 2, 3);
  });
});

test('the worst mistakes: the true class given the least, the surest first', () => {
  const logits = logitsOf([
    [0.9, 0.05, 0.05],
    [0.5, 0.4, 0.1],
    [0.01, 0.98, 0.01],
    [0.1, 0.6, 0.3],
  ]);
  const worst = worstMistakes({ logits, labels: [1, 1, 0, 1], classes: 3 }, 2);
  expect(worst).toEqual([
    {
      index: 2,
      label: 0,
      predicted: 1,
      confidence: expect.closeTo(0.98, 4),
      trueConfidence: expect.closeTo(0.01, 4),
    },
    {
      index: 0,
      label: 1,
      predicted: 0,
      confidence: expect.closeTo(0.9, 4),
      trueConfidence: expect.closeTo(0.05, 4),
    },
  ]);
});
