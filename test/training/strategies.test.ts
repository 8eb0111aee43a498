import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { buildSmallConv } from '../../src/model/small/small-conv.ts';
import { loadModel } from '../../src/onnx/load-model.ts';
import { floatValues } from '../../src/onnx/tensor-values.ts';
import { DATA_TYPE, type OnnxModel } from '../../src/onnx/types.ts';
import { createTrainer } from '../../src/training/create-trainer.ts';
import type { LossSpec } from '../../src/training/loss-spec.ts';
import type { Strategy, Trainer, TrainerOptions } from '../../src/training/trainer.ts';
import { BATCH, CLASSES, inMemory, pictures, SIDE, tinyVit, trainerOptions } from './support.ts';

const NAMES = ['dark', 'middle', 'light'];
const CONV: Partial<TrainerOptions> = {
  model: inMemory(buildSmallConv({ size: SIDE, channels: 8 }), 'conv'),
  features: { kind: 'before_classifier' },
};

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strategies-'));
});
afterEach(() => rm(folder, { recursive: true }));

const bestClass = (logits: Float32Array, row: number): number => {
  const of = [...logits.subarray(row * CLASSES, (row + 1) * CLASSES)];
  return of.indexOf(Math.max(...of));
};

async function accuracy(trainer: Trainer): Promise<number> {
  const unseen = pictures(12, 99);
  const logits = await trainer.evaluate(unseen.inputs, 12, { weights: 'current' });
  const right = Array.from({ length: 12 }, (_, row) => bestClass(logits, row) === row % CLASSES);
  return right.filter(Boolean).length / 12;
}

async function inputsOf(
  trainer: Trainer,
  strategy: Strategy,
  seed: number,
): Promise<Uint8Array | Float32Array> {
  const { inputs } = pictures(BATCH, seed);
  return strategy.kind === 'head' ? trainer.features(inputs, BATCH) : inputs;
}

const LOSSES: LossSpec[] = [
  { kind: 'cross_entropy', smoothing: 0.1 },
  { kind: 'focal', gamma: 2, smoothing: 0 },
  { kind: 'poly', epsilon: 1, smoothing: 0.1 },
  { kind: 'arcface', margin: 0.3, scale: 8, smoothing: 0 },
  { kind: 'cosface', margin: 0.2, scale: 8, smoothing: 0 },
  { kind: 'circle', margin: 0.25, scale: 8 },
];
const STRATEGIES: Strategy[] = [
  { kind: 'head' },
  { kind: 'lora', rank: 2, alpha: 4 },
  { kind: 'last_k', layers: 2 },
  { kind: 'full', layerDecay: 0.9 },
];

describe.each([
  ['a transformer', {}],
  ['a convolutional network', CONV],
])('%s learns', (_, model) => {
  const learns = async (options: Partial<TrainerOptions>): Promise<void> => {
    const all = trainerOptions({ ...model, dropRate: 0, ...options });
    await using trainer = await createTrainer(all);
    const losses: number[] = [];
    for (let i = 0; i < 60; i++) {
      const inputs = await inputsOf(trainer, all.strategy, i);
      losses.push((await trainer.step({ ...pictures(BATCH, i), inputs }, { learningRate: 0.02 })).loss);
    }
    expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
    expect(await accuracy(trainer)).toBeGreaterThan(0.9);
  };

  const suited = STRATEGIES.filter(({ kind }) => (model === CONV ? kind !== 'lora' : true));
  test.each(suited.map((strategy) => [strategy.kind, strategy] as const))(
    'with the strategy %s',
    (__, strategy) => learns({ strategy }),
  );

  test.each(LOSSES.map((loss) => [loss.kind, loss] as const))('with the loss %s', (__, loss) =>
    learns({ loss }),
  );
});

/** Float weights of a model by name. */
const weightsOf = (model: OnnxModel): Map<string, Float32Array> =>
  new Map(
    model.graph.initializers
      .filter(({ dataType, dims }) => dataType === DATA_TYPE.float32 && dims.length > 0)
      .map((tensor) => [tensor.name ?? '', floatValues(tensor)]),
  );

/** The file's weights after one step of plain gradient descent at a rate of 0.5. */
async function exportedWeights(options: Partial<TrainerOptions>): Promise<Map<string, Float32Array>> {
  const all = trainerOptions({
    optimiser: { kind: 'sgd', weightDecay: 0, momentum: 0 },
    clipNorm: null,
    averageDecay: null,
    dropRate: 0,
    ...options,
  });
  await using trainer = await createTrainer(all);
  await trainer.step(pictures(), { learningRate: 0.5 });
  const { files } = await trainer.exportModel({
    folder,
    classNames: NAMES,
    check: { pixels: pictures().inputs, count: BATCH },
  });
  return weightsOf(await loadModel(files[0] ?? ''));
}

/** How far each weight moves in that step. */
async function moved(options: Partial<TrainerOptions>): Promise<Map<string, number>> {
  const after = await exportedWeights(options);
  return new Map(
    [...weightsOf(tinyVit())].map(([name, values]) => {
      const now = after.get(name) ?? new Float32Array(0);
      return [name, Math.hypot(...values.map((value, i) => (now[i] ?? NaN) - value))];
    }),
  );
}

/** Names of the tiny transformer's layers, from the picture on, as its builder numbers them. */
const layerNames = (): string[] => {
  const { nodes, initializers } = tinyVit().graph;
  const kernels = new Set(initializers.filter(({ dims }) => dims.length > 1).map(({ name }) => name));
  return nodes
    .filter(({ opType }) => opType === 'Conv' || opType === 'MatMul')
    .flatMap(({ inputs }) => inputs.filter((name) => kernels.has(name)));
};

describe('what is trained', () => {
  test('full: every weight', async () => {
    const distances = await moved({});
    for (const name of layerNames()) expect(distances.get(name)).toBeGreaterThan(0);
    expect([...distances.values()].filter((distance) => distance > 0).length).toBeGreaterThan(
      layerNames().length,
    );
  });

  test('weights decay, biases and norms do not', async () => {
    const after = async (weightDecay: number) =>
      exportedWeights({ optimiser: { kind: 'sgd', weightDecay, momentum: 0 } });
    const [plain, decayed, begun] = [await after(0), await after(0.1), weightsOf(tinyVit())];
    const kernels = new Set(layerNames());
    for (const [name, values] of begun) {
      const lost = values.map((_, i) => (plain.get(name)?.[i] ?? NaN) - (decayed.get(name)?.[i] ?? NaN));
      const expected = values.map((value) => (kernels.has(name) ? 0.5 * 0.1 * value : 0));
      for (const [i, loss] of lost.entries()) expect(loss).toBeCloseTo(expected[i] ?? NaN, 5);
    }
  });

  test('layer decay: each layer moves less than the one above, by a share of the depth', async () => {
    const plain = await moved({});
    const decayed = await moved({ strategy: { kind: 'full', layerDecay: 0.5 } });
    const names = layerNames();
    const found = names.map((name) => (decayed.get(name) ?? NaN) / (plain.get(name) ?? NaN));
    // Twelve halvings from the head to the picture: patches; query, key and value; two of the MLP.
    expect(found.map((share) => Math.round(Math.log2(share)))).toEqual([-12, -9, -9, -9, -6, -3]);
  });

  test('the last layers: nothing below them', async () => {
    const distances = await moved({ strategy: { kind: 'last_k', layers: 2 } });
    const names = layerNames();
    const trained = names.map((name) => (distances.get(name) ?? NaN) > 0);
    expect(trained).toEqual(names.map((_, layer) => layer >= names.length - 2));
  });

  test('lora: the linear layers alone, and at first not at all', async () => {
    // B begins as zero, so that the first step moves B, and W only through it.
    const distances = await moved({ strategy: { kind: 'lora', rank: 2, alpha: 4 } });
    const [patches, ...linear] = layerNames();
    for (const name of linear) expect(distances.get(name)).toBeGreaterThan(0);
    const others = [...distances].filter(([name]) => !linear.includes(name));
    expect(others.map(([name]) => name)).toContain(patches);
    for (const [, distance] of others) expect(distance).toBe(0);
  });

  test.each(STRATEGIES.map((strategy) => [strategy.kind, strategy] as const))(
    '%s begins as the file is: features are the file’s own',
    async (_, strategy) => {
      await using head = await createTrainer(trainerOptions());
      await using other = await createTrainer(trainerOptions({ strategy }));
      const { inputs } = pictures();
      const [expected, found] = [await head.features(inputs, BATCH), await other.features(inputs, BATCH)];
      expected.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 5));
      expect(other.featureLength).toBe(found.length / BATCH);
    },
  );
});

test('a head goes on as the head of a full run', async () => {
  const statistics = { mean: new Float32Array(8).fill(0.1), deviation: new Float32Array(8).fill(0.7) };
  const first = trainerOptions({ strategy: { kind: 'head' }, featureStatistics: statistics });
  await using head = await createTrainer(first);
  const { inputs, ...rest } = pictures();
  const features = await head.features(inputs, BATCH);
  for (let i = 0; i < 20; i++) await head.step({ ...rest, inputs: features }, { learningRate: 0.02 });
  const weights = await head.head();
  const { featureStatistics } = weights;
  await using full = await createTrainer(
    trainerOptions({ head: weights, ...(featureStatistics === undefined ? {} : { featureStatistics }) }),
  );
  const [expected, found] = [await head.evaluate(inputs, BATCH), await full.evaluate(inputs, BATCH)];
  expected.forEach((logit, i) => expect(found[i]).toBeCloseTo(logit, 4));
  expect(await head.evaluate(features, BATCH)).toEqual(expected);
});

test('best weights stay what they were when they were marked', async () => {
  await using trainer = await createTrainer(trainerOptions());
  const { inputs } = pictures();
  await expect(trainer.evaluate(inputs, BATCH, { weights: 'best' })).rejects.toMatchObject({
    code: 'weights_missing',
  });
  await trainer.step(pictures(), { learningRate: 0.02 });
  const marked = await trainer.evaluate(inputs, BATCH);
  await trainer.markBest();
  await trainer.step(pictures(), { learningRate: 0.02 });
  expect(await trainer.evaluate(inputs, BATCH)).not.toEqual(marked);
  expect(await trainer.evaluate(inputs, BATCH, { weights: 'best' })).toEqual(marked);
});
