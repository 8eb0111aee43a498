import { describe, expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { randomNumbers } from '../../src/model/small/random.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import type { OptimiserSpec } from '../../src/training/optimiser-spec.ts';
import {
  addUpdate,
  averageDecayAt,
  clipFactor,
  corrections,
  gradientNorm,
  momentNames,
  movedAverage,
} from '../../src/training/optimisers.ts';
import { shapedGraph } from '../../src/training/shaped-graph.ts';

const LENGTH = 6;
const STEPS = 25;

interface Setting {
  spec: OptimiserSpec;
  decays: boolean;
  rate: number;
}

/** torch.optim's documented algorithms, a number at a time, in float64. */
function reference({ spec, decays, rate }: Setting, start: readonly number[]) {
  const p = [...start];
  const first = p.map(() => 0);
  const second = p.map(() => 0);
  return (gradient: readonly number[], learningRate: number, t: number): number[] => {
    const lr = learningRate * rate;
    const wd = decays ? spec.weightDecay : 0;
    p.forEach((value, i) => {
      let g = gradient[i] ?? 0;
      let weight = value;
      if (spec.kind === 'adamw') weight -= lr * wd * weight;
      else g += wd * weight;
      if (spec.kind === 'sgd') {
        const mu = spec.momentum ?? 0.9;
        first[i] = mu * (first[i] ?? 0) + g;
        p[i] = weight - lr * (spec.nesterov === true ? g + mu * (first[i] ?? 0) : (first[i] ?? 0));
        return;
      }
      const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = spec;
      first[i] = beta1 * (first[i] ?? 0) + (1 - beta1) * g;
      second[i] = beta2 * (second[i] ?? 0) + (1 - beta2) * g * g;
      const mean = (first[i] ?? 0) / (1 - beta1 ** t);
      const square = (second[i] ?? 0) / (1 - beta2 ** t);
      p[i] = weight - (lr * mean) / (Math.sqrt(square) + epsilon);
    });
    return [...p];
  };
}

async function updates({ spec, decays, rate }: Setting): Promise<InferenceSession> {
  const g = shapedGraph('the test');
  const scalar = (name: string): string => g.input(name, 'float64', []);
  const vector = (name: string): string => g.input(name, 'float64', [LENGTH]);
  const inputs = { learningRate: scalar('lr'), meanCorrection: scalar('mc'), squareCorrection: scalar('sc') };
  const moments = momentNames(spec);
  const of = {
    parameter: vector('p'),
    gradient: vector('g'),
    factor: scalar('factor'),
    moments: moments.map(vector),
    decays,
    rate,
  };
  const updated = addUpdate(g, spec, of, inputs);
  g.output(updated.parameter, 'p_next');
  updated.moments.forEach((moment, i) => g.output(moment, `${moments[i] ?? ''}_next`));
  return InferenceSession.create(writeModel(g.toModel()), { intraOpNumThreads: 1 });
}

const decayed = (spec: OptimiserSpec, rate = 1): Setting => ({ spec, decays: true, rate });

test.each<[string, Setting]>([
  ['AdamW', decayed({ kind: 'adamw', weightDecay: 0.05 })],
  ['AdamW of a bias', { spec: { kind: 'adamw', weightDecay: 0.05 }, decays: false, rate: 1 }],
  ['AdamW at a lower rate', decayed({ kind: 'adamw', weightDecay: 0.05 }, 0.25)],
  [
    'AdamW with other numbers',
    decayed({ kind: 'adamw', weightDecay: 0.1, beta1: 0.8, beta2: 0.95, epsilon: 1e-3 }),
  ],
  ['Adam', decayed({ kind: 'adam', weightDecay: 0.05 })],
  ['SGD with momentum', decayed({ kind: 'sgd', weightDecay: 0.05 })],
  ['SGD without', decayed({ kind: 'sgd', weightDecay: 0, momentum: 0 })],
  ['SGD with Nesterov’s', decayed({ kind: 'sgd', weightDecay: 0.05, momentum: 0.8, nesterov: true }, 0.5)],
])('%s goes where torch’s algorithm goes, in float64', async (_, setting) => {
  const random = randomNumbers(2);
  const start = Array.from({ length: LENGTH }, random);
  const next = reference(setting, start);
  const session = await updates(setting);
  try {
    const names = momentNames(setting.spec);
    const tensor = (values: Iterable<number>): Tensor =>
      new Tensor('float64', Float64Array.from(values), [LENGTH]);
    let state: Record<string, Tensor> = Object.fromEntries(
      names.map((name) => [name, tensor(start.map(() => 0))] as const),
    );
    state.p = tensor(start);
    for (let t = 1; t <= STEPS; t++) {
      const gradient = Array.from({ length: LENGTH }, random);
      const learningRate = 0.1 / t;
      const { mean, square } = corrections(setting.spec, t);
      const feeds: Record<string, Tensor> = { ...state, g: tensor(gradient) };
      const factor = 1 / t;
      for (const [name, value] of Object.entries({ lr: learningRate, mc: mean, sc: square, factor })) {
        if (session.inputNames.includes(name))
          feeds[name] = new Tensor('float64', Float64Array.of(value), []);
      }
      const answer = await session.run(feeds);
      const kept = Object.entries(answer).map(([name, value]) => [name.replace('_next', ''), value] as const);
      state = Object.fromEntries(kept);
      const expected = next(
        gradient.map((value) => value * factor),
        learningRate,
        t,
      );
      Array.from(state.p?.data as Float64Array).forEach((value, i) =>
        expect(value).toBeCloseTo(expected[i] ?? NaN, 12),
      );
    }
  } finally {
    await session.release();
  }
});

test('AdamW’s first two updates, by hand', () => {
  // p = 1, g = 0.5 then −0.25, rate 0.1, decay 0.1: m̂ = g in the first update, so that p moves by the rate.
  const next = reference(decayed({ kind: 'adamw', weightDecay: 0.1 }), [1]);
  expect(next([0.5], 0.1, 1)[0]).toBeCloseTo(1 * (1 - 0.01) - 0.1, 7);
  const mean = (0.9 * 0.05 + 0.1 * -0.25) / (1 - 0.81);
  const square = (0.999 * 0.00025 + 0.001 * 0.0625) / (1 - 0.998001);
  expect(next([-0.25], 0.1, 2)[0]).toBeCloseTo(0.89 * 0.99 - (0.1 * mean) / Math.sqrt(square), 7);
});

describe('clipping', () => {
  const clipped = async (gradients: readonly number[][], greatest: number) => {
    const g = shapedGraph('the test');
    const names = gradients.map((values, i) => g.input(`g${String(i)}`, 'float64', [values.length]));
    const norm = gradientNorm(g, names);
    g.output(norm, 'norm');
    g.output(clipFactor(g, norm, greatest), 'factor');
    const session = await InferenceSession.create(writeModel(g.toModel()));
    const feeds = gradients.map(
      (values, i) =>
        [`g${String(i)}`, new Tensor('float64', Float64Array.from(values), [values.length])] as const,
    );
    const answer = await session.run(Object.fromEntries(feeds));
    await session.release();
    return { norm: Number(answer.norm?.data[0]), factor: Number(answer.factor?.data[0]) };
  };

  test('by the length of all gradients together', async () => {
    const { norm, factor } = await clipped(
      [
        [3, 0],
        [0, 4, 12],
      ],
      6.5,
    );
    expect(norm).toBeCloseTo(13, 12);
    expect(factor).toBeCloseTo(0.5, 6);
  });

  test('never up, and none of none', async () => {
    expect((await clipped([[0.3, 0.4]], 1)).factor).toBe(1);
    expect(await clipped([[0, 0]], 1)).toEqual({ norm: 0, factor: 1 });
  });
});

describe('the moving average', () => {
  test('follows decay · average + (1 − decay) · weights', async () => {
    const g = shapedGraph('the test');
    const [a, p] = [g.input('a', 'float64', [2]), g.input('p', 'float64', [2])];
    g.output(movedAverage(g, a, p, g.input('d', 'float64', [])), 'next');
    const session = await InferenceSession.create(writeModel(g.toModel()));
    const answer = await session.run({
      a: new Tensor('float64', Float64Array.of(1, -2), [2]),
      p: new Tensor('float64', Float64Array.of(3, 8), [2]),
      d: new Tensor('float64', Float64Array.of(0.75), []),
    });
    await session.release();
    expect(Array.from(answer.next?.data as Float64Array)).toEqual([1.5, 0.5]);
  });

  test('looks back less in the first updates: (1 + step) / (10 + step), then its own decay', () => {
    const found = [1, 2, 11, 1_000_000].map((t) => averageDecayAt(0.9999, t));
    [0.1, 2 / 11, 11 / 20, 0.9999].forEach((decay, i) => expect(found[i]).toBeCloseTo(decay, 12));
  });
});
