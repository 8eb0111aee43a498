import { expect, test } from '@jest/globals';

import { createTrainer } from '../../src/training/create-trainer.ts';
import { averageDecayAt } from '../../src/training/optimisers.ts';
import { BATCH, CLASSES, pictures, trainerOptions } from './support.ts';

const SMOOTHING = 0.1;
const DECAY = 0.05;
const CLIP = 0.5;
const AVERAGE = 0.9;
const WEIGHTS = [1, 2, 0.5, 1, 0, 3];

/** A linear head with AdamW, clipping and a moving average, written out in float64. */
function reference(
  features: Float32Array,
  start: { weight: number[]; bias: number[] },
  targets: Float32Array,
) {
  const length = features.length / BATCH;
  const p = [...start.weight, ...start.bias];
  const average = [...p];
  const mean = p.map(() => 0);
  const square = p.map(() => 0);
  const total = WEIGHTS.reduce((a, b) => a + b, 0);
  const biasAt = length * CLASSES;
  return (learningRate: number, t: number): { loss: number; gradientNorm: number; average: number[] } => {
    const gradient = p.map(() => 0);
    let loss = 0;
    for (let row = 0; row < BATCH; row++) {
      const x = features.subarray(row * length, (row + 1) * length);
      const z = Array.from({ length: CLASSES }, (_, c) =>
        x.reduce((sum, value, i) => sum + value * (p[i * CLASSES + c] ?? 0), p[biasAt + c] ?? 0),
      );
      const sum = z.reduce((s, value) => s + Math.exp(value), 0);
      z.forEach((value, c) => {
        const soft = (1 - SMOOTHING) * (targets[row * CLASSES + c] ?? 0) + SMOOTHING / CLASSES;
        const share = (WEIGHTS[row] ?? 0) / total;
        loss -= share * soft * (value - Math.log(sum));
        const slope = share * (Math.exp(value) / sum - soft);
        x.forEach(
          (feature, i) => (gradient[i * CLASSES + c] = (gradient[i * CLASSES + c] ?? 0) + slope * feature),
        );
        gradient[biasAt + c] = (gradient[biasAt + c] ?? 0) + slope;
      });
    }
    const gradientNorm = Math.hypot(...gradient);
    const factor = Math.min(1, CLIP / (gradientNorm + 1e-6));
    const keep = averageDecayAt(AVERAGE, t);
    gradient.forEach((raw, i) => {
      const g = raw * factor;
      mean[i] = 0.9 * (mean[i] ?? 0) + 0.1 * g;
      square[i] = 0.999 * (square[i] ?? 0) + 0.001 * g * g;
      const step = (mean[i] ?? 0) / (1 - 0.9 ** t) / (Math.sqrt((square[i] ?? 0) / (1 - 0.999 ** t)) + 1e-8);
      // The bias does not decay.
      const shrunk = (p[i] ?? 0) * (i < biasAt ? 1 - learningRate * DECAY : 1);
      p[i] = shrunk - learningRate * step;
      average[i] = keep * (average[i] ?? 0) + (1 - keep) * (p[i] ?? 0);
    });
    return { loss, gradientNorm, average: [...average] };
  };
}

test('a head’s losses, norms and averaged weights are those of the formulas in float64', async () => {
  await using trainer = await createTrainer(
    trainerOptions({
      strategy: { kind: 'head' },
      loss: { kind: 'cross_entropy', smoothing: SMOOTHING },
      optimiser: { kind: 'adamw', weightDecay: DECAY },
      clipNorm: CLIP,
      averageDecay: AVERAGE,
      dropRate: 0,
    }),
  );
  const { inputs, targets } = pictures();
  const features = await trainer.features(inputs, BATCH);
  const { weight, bias } = await trainer.head('current');
  const next = reference(features, { weight: [...weight], bias: [...(bias ?? [])] }, targets);
  for (let t = 1; t <= 20; t++) {
    const learningRate = 0.02 / Math.sqrt(t);
    const batch = { inputs: features, targets, weights: Float32Array.from(WEIGHTS) };
    const found = await trainer.step(batch, { learningRate });
    const expected = next(learningRate, t);
    expect(found.loss).toBeCloseTo(expected.loss, 5);
    expect(found.gradientNorm).toBeCloseTo(expected.gradientNorm, 5);
    const head = await trainer.head('average');
    [...head.weight, ...(head.bias ?? [])].forEach((value, i) =>
      expect(value).toBeCloseTo(expected.average[i] ?? NaN, 5),
    );
  }
});
