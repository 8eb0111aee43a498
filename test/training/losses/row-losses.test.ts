import { describe, expect, test } from '@jest/globals';

import { randomNumbers } from '../../../src/model/small/random.ts';
import { rowLosses, weightedTotal } from '../../../src/training/losses/row-losses.ts';
import type { LossSpec } from '../../../src/training/loss-spec.ts';
import { differences, expectClose, runScalar } from './run-graph.ts';

const ROWS = 5;
const CLASSES = 4;

/** The formulas of the papers, in float64, a row at a time. */
const softmax = (z: readonly number[]): number[] => {
  const top = Math.max(...z);
  const sum = z.reduce((total, x) => total + Math.exp(x - top), 0);
  return z.map((x) => Math.exp(x - top) / sum);
};
const entropy = (z: readonly number[], t: readonly number[]): number => {
  const p = softmax(z);
  return -t.reduce((sum, share, c) => sum + share * Math.log(p[c] ?? 0), 0);
};
const smooth = (t: readonly number[], s: number): number[] => t.map((x) => (1 - s) * x + s / CLASSES);

/** `held`: the scores at which the circle loss takes its factors, which are not differentiated through. */
function reference(spec: LossSpec, z: readonly number[], t: readonly number[], held = z): number {
  switch (spec.kind) {
    case 'cross_entropy':
      return entropy(z, smooth(t, spec.smoothing));
    case 'focal': {
      const p = softmax(z);
      return -smooth(t, spec.smoothing).reduce((sum, share, c) => {
        const pc = p[c] ?? 0;
        return sum + share * (1 - pc) ** spec.gamma * Math.log(pc);
      }, 0);
    }
    case 'poly': {
      const p = softmax(z);
      const soft = smooth(t, spec.smoothing);
      return entropy(z, soft) + spec.epsilon * (1 - soft.reduce((sum, x, c) => sum + x * (p[c] ?? 0), 0));
    }
    case 'arcface': {
      const logits = z.map((cos, c) => {
        const angle = Math.acos(cos) + spec.margin;
        const turned = angle < Math.PI ? Math.cos(angle) : cos - spec.margin * Math.sin(spec.margin);
        return spec.scale * (cos + (t[c] ?? 0) * (turned - cos));
      });
      return entropy(logits, smooth(t, spec.smoothing));
    }
    case 'cosface':
      return entropy(
        z.map((cos, c) => spec.scale * (cos - spec.margin * (t[c] ?? 0))),
        smooth(t, spec.smoothing),
      );
    case 'circle': {
      // One-hot targets: log(1 + Σ exp(γ [s_n + m]₊ (s_n − m)) · exp(−γ [1 + m − s_p]₊ (s_p − 1 + m))), eq. 6.
      const { margin: m, scale } = spec;
      const target = t.indexOf(1);
      const sp = z[target] ?? 0;
      const positive = -scale * Math.max(0, 1 + m - (held[target] ?? 0)) * (sp - (1 - m));
      const sum = z.reduce(
        (total, sn, c) =>
          c === target
            ? total
            : total + Math.exp(scale * Math.max(0, (held[c] ?? 0) + m) * (sn - m) + positive),
        0,
      );
      return Math.log(1 + sum);
    }
  }
}

const random = randomNumbers(4);
const scores = (reach: number): number[] => Array.from({ length: ROWS * CLASSES }, () => random() * reach);
const oneHot = Array.from({ length: ROWS * CLASSES }, (_, i) =>
  i % CLASSES === Math.floor(i / CLASSES) % CLASSES ? 1 : 0,
);
const soft = Array.from({ length: ROWS }, () => softmax([random(), random(), random(), random()])).flat();
const weights = [1, 0.5, 2, 0, 1.5];
const total = weights.reduce((a, b) => a + b, 0);
const row = (values: readonly number[], i: number): number[] => values.slice(i * CLASSES, (i + 1) * CLASSES);

const CASES: [string, LossSpec, { reach: number; targets: number[] }][] = [
  ['cross-entropy', { kind: 'cross_entropy', smoothing: 0 }, { reach: 3, targets: soft }],
  ['label smoothing', { kind: 'cross_entropy', smoothing: 0.1 }, { reach: 3, targets: oneHot }],
  ['focal', { kind: 'focal', gamma: 2, smoothing: 0 }, { reach: 3, targets: oneHot }],
  ['focal on soft targets', { kind: 'focal', gamma: 0.5, smoothing: 0.1 }, { reach: 3, targets: soft }],
  ['poly', { kind: 'poly', epsilon: 1, smoothing: 0.1 }, { reach: 3, targets: soft }],
  ['arcface', { kind: 'arcface', margin: 0.5, scale: 8, smoothing: 0 }, { reach: 0.95, targets: oneHot }],
  [
    'arcface, smoothed, on soft targets',
    { kind: 'arcface', margin: 0.3, scale: 4, smoothing: 0.1 },
    { reach: 0.9, targets: soft },
  ],
  ['cosface', { kind: 'cosface', margin: 0.35, scale: 8, smoothing: 0.1 }, { reach: 0.95, targets: soft }],
  ['circle', { kind: 'circle', margin: 0.25, scale: 8 }, { reach: 0.95, targets: oneHot }],
];

describe.each(CASES)('%s', (_, spec, { reach, targets }) => {
  const z = scores(reach);
  const run = (given: { z?: number[]; targets?: number[]; weights?: number[] } = {}) =>
    runScalar(
      {
        z: { dims: [ROWS, CLASSES], values: given.z ?? z },
        t: { dims: [ROWS, CLASSES], values: given.targets ?? targets },
        w: { dims: [ROWS], values: given.weights ?? weights },
        scale: { dims: [], values: [1 / total] },
      },
      ['z'],
      (g, { detached }) =>
        weightedTotal(g, rowLosses(g, spec, { scores: 'z', targets: 't', detached }), 'w', 'scale'),
    );
  const mean = (values: readonly number[], held: readonly number[] = values): number =>
    weights.reduce(
      (sum, weight, i) => sum + weight * reference(spec, row(values, i), row(targets, i), row(held, i)),
      0,
    ) / total;

  test('is the weighted mean of the formula, and its gradient that of the formula', async () => {
    const found = await run();
    expect(found.value).toBeCloseTo(mean(z), 9);
    expectClose(
      found.gradients.z ?? [],
      differences((x) => mean(x, z), z),
      1e-6,
    );
  });

  test('a row of weight 0 changes nothing, whatever it holds', async () => {
    const found = await run();
    const padded = Math.floor(weights.indexOf(0)) * CLASSES;
    const other = z.map((x, i) => (i >= padded && i < padded + CLASSES ? x / 2 - 0.1 : x));
    const again = await run({ z: other });
    expect(again.value).toBe(found.value);
    expect(again.gradients).toEqual(found.gradients);
    expect(again.gradients.z?.slice(padded, padded + CLASSES).every((x) => x === 0)).toBe(true);
  });
});

test.each([
  ['far apart', [60, -60, -60, -60]],
  ['all the same', [7, 7, 7, 7]],
])('scores that are %s give finite losses and gradients', async (_, values) => {
  for (const [, spec] of CASES) {
    const cosines = values.map((x) => Math.max(-1, Math.min(1, x)));
    const isAngular = 'scale' in spec;
    const { value, gradients } = await runScalar(
      {
        z: { dims: [1, CLASSES], values: isAngular ? cosines : values },
        t: { dims: [1, CLASSES], values: [0, 1, 0, 0] },
      },
      ['z'],
      (g, { detached }) =>
        g.sum(rowLosses(g, spec, { scores: 'z', targets: 't', detached }), undefined, false),
    );
    expect(Number.isFinite(value)).toBe(true);
    expect(gradients.z?.every(Number.isFinite)).toBe(true);
  }
});
