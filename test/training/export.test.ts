import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { StoppedError } from '../../src/base/errors.ts';
import type { ExecutionProvider } from '../../src/base/settings.ts';
import { createGraphHost } from '../../src/model/graph-host.ts';
import { buildSmallConv } from '../../src/model/small/small-conv.ts';
import { buildDemoDescriptor, demoPreprocessing } from '../../src/model/small/demo-descriptor.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { readModel, writeModel } from '../../src/onnx/codec.ts';
import { moveWeightsOut } from '../../src/onnx/external.ts';
import { loadModel } from '../../src/onnx/load-model.ts';
import { createTrainer } from '../../src/training/create-trainer.ts';
import type { TrainerOptions } from '../../src/training/trainer.ts';
import { rounding } from '../support/graph-hosts.ts';
import {
  BATCH,
  CLASSES,
  inMemory,
  PICTURE_BYTES,
  pictures,
  PREPROCESSING,
  SIDE,
  tinyVit,
  trainerOptions,
} from './support.ts';

const CARD = { classNames: ['a', 'b, c', 'ü'], temperature: 1.7, metadata: { run: 'r1' } };
const conv = () => buildSmallConv({ size: SIDE, channels: 8 });
const CONV: Partial<TrainerOptions> = {
  model: inMemory(conv(), 'conv'),
  features: { kind: 'before_classifier' },
};
const ANGLES = { kind: 'arcface', margin: 0.3, scale: 16, smoothing: 0 } as const;
const STATISTICS = {
  mean: Float32Array.from({ length: 8 }, (_, i) => i / 10),
  deviation: Float32Array.from({ length: 8 }, (_, i) => 0.5 + i / 4),
};

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'export-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** What the training graphs put in front of the file, done by hand: bytes to normalised planes. */
function normalised(pixels: Uint8Array, count: number): Tensor {
  const { rescale, mean, std } = PREPROCESSING;
  const plane = SIDE * SIDE;
  const values = Float32Array.from({ length: count * 3 * plane }, (_, i) => {
    const [row, channel, at] = [Math.floor(i / (3 * plane)), Math.floor(i / plane) % 3, i % plane];
    const pixel = pixels[row * PICTURE_BYTES + at * 3 + channel] ?? 0;
    return (pixel * rescale - (mean[channel] ?? 0)) / (std[channel] ?? 1);
  });
  return new Tensor('float32', values, [count, 3, SIDE, SIDE]);
}

/** Trains a little and exports; the logits that the trainer gives, and those of the file in plain ONNX Runtime. */
async function exported(options: Partial<TrainerOptions>, counts: readonly number[]) {
  const all = trainerOptions(options);
  await using trainer = await createTrainer(all);
  for (let i = 0; i < 4; i++) {
    const { inputs, ...rest } = pictures(BATCH, i);
    const given = all.strategy.kind === 'head' ? await trainer.features(inputs, BATCH) : inputs;
    await trainer.step({ ...rest, inputs: given }, { learningRate: 0.05 });
  }
  const check = { pixels: pictures(7, 8).inputs, count: 7 };
  const report = await trainer.exportModel({ ...CARD, folder, check });
  const session = await InferenceSession.create(report.files[0] ?? '');
  const found = [];
  for (const count of counts) {
    const pixels = pictures(count, 20).inputs;
    const answer = await session.run({ [session.inputNames[0] ?? '']: normalised(pixels, count) });
    found.push({
      count,
      dims: answer[report.output]?.dims,
      logits: answer[report.output]?.data as Float32Array,
      expected: await trainer.evaluate(pixels, count),
    });
  }
  const { inputNames, outputNames } = session;
  await session.release();
  return { report, found, inputNames, outputNames };
}

describe('the file gives the trainer’s logits in plain ONNX Runtime, for any number of pictures', () => {
  test.each<[string, Partial<TrainerOptions>]>([
    ['head', { strategy: { kind: 'head' } }],
    ['head on scaled features', { strategy: { kind: 'head' }, featureStatistics: STATISTICS }],
    ['head on angles', { strategy: { kind: 'head' }, loss: ANGLES, featureStatistics: STATISTICS }],
    ['low rank, merged', { strategy: { kind: 'lora', rank: 3, alpha: 6 } }],
    ['last layers', { strategy: { kind: 'last_k', layers: 2 } }],
    ['all weights', {}],
    ['all weights, on angles', { loss: ANGLES }],
    ['convolutions', { ...CONV }],
    ['convolutions, head', { ...CONV, strategy: { kind: 'head' } }],
    ['all weights, not their average', { averageDecay: null }],
  ])('%s', async (_, options) => {
    const { report, found, inputNames, outputNames } = await exported(options, [1, 5]);
    expect(report.maxAbsDifference).toBeLessThan(1e-4);
    expect(outputNames).toEqual(['logits']);
    expect(inputNames).toEqual([options.model === CONV.model ? 'input' : 'pixel_values']);
    for (const { count, dims, logits, expected } of found) {
      expect(dims).toEqual([count, CLASSES]);
      expected.forEach((logit, i) => expect(logits[i]).toBeCloseTo(logit, 4));
    }
    expect(await readdir(folder)).toEqual(['model.onnx']);
  });
});

test('the original file but for what was learnt: its operators, set, author; its metadata and ours', async () => {
  const original = { ...tinyVit(), metadata: [{ key: 'licence', value: 'MIT' }], producerVersion: '9' };
  await exported({ model: inMemory(original) }, []);
  const model = await loadModel(join(folder, 'model.onnx'));
  expect(model).toMatchObject({
    producerName: original.producerName,
    producerVersion: '9',
    opsetImports: original.opsetImports,
  });
  const metadata = Object.fromEntries(model.metadata.map(({ key, value }) => [key, value]));
  expect(metadata).toMatchObject({ licence: 'MIT', run: 'r1', temperature: '1.7' });
  expect(JSON.parse(metadata.class_names ?? '')).toEqual(CARD.classNames);
  expect(JSON.parse(metadata.preprocessing ?? '')).toEqual(PREPROCESSING);
  const operators = original.graph.nodes.slice(0, -1).map(({ opType }) => opType);
  expect(model.graph.nodes.map(({ opType }) => opType).slice(0, operators.length)).toEqual(operators);
});

test('a file with weights beside it is exported with weights beside it', async () => {
  const source = await mkdtemp(join(tmpdir(), 'external-'));
  try {
    const { model, data } = moveWeightsOut(conv(), 'weights.bin', 64);
    const bytes = writeModel(model);
    await writeFile(join(source, 'conv.onnx'), bytes);
    await writeFile(join(source, 'weights.bin'), data);
    const where = join(source, 'conv.onnx');
    const base = { name: 'conv', where, bytes, folder: source, preprocessing: PREPROCESSING };
    const { report, found } = await exported({ ...CONV, model: base }, [3]);
    expect(report.files.map((file) => file.replace(folder, ''))).toEqual(['/model.onnx', '/model.onnx.data']);
    found[0]?.expected.forEach((logit, i) => expect(found[0]?.logits[i]).toBeCloseTo(logit, 4));
    expect((await readdir(source)).sort()).toEqual(['conv.onnx', 'weights.bin']);
  } finally {
    await rm(source, { recursive: true });
  }
});

test('the demo descriptor learns as a frozen backbone', async () => {
  const side = 96;
  const model = { ...inMemory(buildDemoDescriptor(), 'demo'), preprocessing: demoPreprocessing };
  const options = trainerOptions({
    model,
    features: { kind: 'output', outputs: [{ name: 'image_embeds', pooling: 'as_is' }] },
    strategy: { kind: 'head' },
  });
  await using trainer = await createTrainer(options);
  const pixels = Uint8Array.from(
    { length: BATCH * side * side * 3 },
    (_, i) => (i * 7 + (i >> 12) * 31) % 256,
  );
  const inputs = await trainer.features(pixels, BATCH);
  expect(inputs).toHaveLength(BATCH * trainer.featureLength);
  await trainer.step({ ...pictures(), inputs }, { learningRate: 0.05 });
  const report = await trainer.exportModel({ ...CARD, folder, check: { pixels, count: BATCH } });
  expect(report.maxAbsDifference).toBeLessThan(1e-4);
});

test('a file whose logits differ fails the run and is not kept', async () => {
  // Features of chance: no two runs are the same, so that the exported file cannot give what the trainer gave.
  const g = graphBuilder({ name: 'chance' });
  const x = g.input('pixel_values', 'float32', ['batch', 3, SIDE, SIDE]);
  const mean = g.node('ReduceMean', [x], { attributes: { axes: [2, 3], keepdims: 0 } });
  const noise = g.node('RandomNormalLike', [mean]);
  g.output(g.node('Add', [mean, noise]), 'float32', ['batch', 3], 'features');
  const features = { kind: 'output', outputs: [{ name: 'features', pooling: 'as_is' }] } as const;
  const given = { model: inMemory(g.toModel()), features, strategy: { kind: 'head' } } as const;
  await expect(exported(given, [])).rejects.toMatchObject({ code: 'export_differs' });
  expect(await readdir(folder)).toEqual([]);
});

test('an export that is told to stop begins no further run, and keeps no file', async () => {
  const stop = new AbortController();
  const loads: string[] = [];
  const createHost: typeof createGraphHost = (options) => {
    const host = createGraphHost(options);
    const load: typeof host.load = (name, model) => {
      loads.push(name);
      if (name === 'exported') stop.abort(new StoppedError('cancelled', 'enough'));
      return host.load(name, model);
    };
    return Object.create(host, { load: { value: load } }) as typeof host;
  };
  await using trainer = await createTrainer(trainerOptions(), { createHost });
  const check = { pixels: pictures().inputs, count: BATCH };
  await expect(trainer.exportModel({ ...CARD, folder, check, signal: stop.signal })).rejects.toMatchObject({
    code: 'model_closed',
  });
  expect(loads.filter((name) => name === 'exported')).toHaveLength(1);
  expect(await readdir(folder)).toEqual([]);
});

test.each<[string, Partial<TrainerOptions>]>([
  ['full', { strategy: { kind: 'full', layerDecay: 1 } }],
  ['head', { strategy: { kind: 'head' } }],
])('%s: what a GPU rounds away is not held against the file', async (_, given) => {
  const made: (readonly ExecutionProvider[])[] = [];
  const options = trainerOptions({ ...given, providers: ['cuda', 'cpu'] });
  await using trainer = await createTrainer(options, { createHost: rounding(made) });
  expect(trainer.provider).toBe('cuda');
  const check = { pixels: pictures(7, 8).inputs, count: 7 };
  const { files, maxAbsDifference } = await trainer.exportModel({ ...CARD, folder, check });
  expect(files).toHaveLength(1);
  expect(maxAbsDifference).toBeLessThan(1e-5);
  expect(made).toEqual([['cuda', 'cpu'], ['cpu']]);
});

test('large logits may differ by a hundred thousandth of the largest', async () => {
  const large = { weight: new Float32Array(8 * CLASSES).map((_, i) => 1e4 * (1 + i)), bias: null };
  await using trainer = await createTrainer(trainerOptions({ head: large }));
  const check = { pixels: pictures(7, 8).inputs, count: 7 };
  const logits = await trainer.evaluate(check.pixels, 7);
  const { maxAbsDifference } = await trainer.exportModel({ ...CARD, folder, check });
  expect(maxAbsDifference).toBeGreaterThan(1e-4);
  expect(maxAbsDifference).toBeLessThan(1e-5 * Math.max(...logits.map(Math.abs)));
});

describe('a file that does not fit is refused before anything is trained', () => {
  test('without the output, or without a linear classifier at its end', async () => {
    const other = { kind: 'output', outputs: [{ name: 'embeds', pooling: 'as_is' }] } as const;
    await expect(createTrainer(trainerOptions({ features: other }))).rejects.toThrow(
      /no output 'embeds'; its outputs are last_hidden_state, pooler_output/,
    );
    await expect(createTrainer(trainerOptions({ features: { kind: 'before_classifier' } }))).rejects.toThrow(
      /does not end in a linear classifier/,
    );
  });

  test('features that are not one row a picture', async () => {
    const features = { kind: 'output', outputs: [{ name: 'last_hidden_state', pooling: 'as_is' }] } as const;
    await expect(createTrainer(trainerOptions({ features }))).rejects.toMatchObject({
      code: 'graph_invalid',
    });
    const head = { features, strategy: { kind: 'head' } } as const;
    await expect(createTrainer(trainerOptions(head))).rejects.toMatchObject({ code: 'model_mismatch' });
  });

  test('low-rank updates where there is no linear layer', async () => {
    const lora = { kind: 'lora', rank: 2, alpha: 4 } as const;
    await expect(createTrainer(trainerOptions({ ...CONV, strategy: lora }))).rejects.toThrow(
      /conv.onnx has no linear layers for low-rank updates/,
    );
  });

  test('a file that is none', async () => {
    const bytes = new Uint8Array(20).fill(7);
    expect(() => readModel(bytes)).toThrow();
    await expect(
      createTrainer(trainerOptions({ model: { ...inMemory(tinyVit()), bytes } })),
    ).rejects.toMatchObject({ code: 'model_unreadable' });
  });
});
