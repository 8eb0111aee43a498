import { readdir } from 'node:fs/promises';

import { describe, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { createGraphHost } from '../../src/model/graph-host.ts';
import { createTrainer } from '../../src/training/create-trainer.ts';
import type { StepResult, TrainBatch, Trainer, TrainerOptions } from '../../src/training/trainer.ts';
import { temporaryFolder } from '../support/folder.ts';
import { cramped, watched } from '../support/graph-hosts.ts';
import { BATCH, CLASSES, PICTURE_BYTES, pictures, trainerOptions } from './support.ts';

const RATE = { learningRate: 0.01 };

async function train(
  options: Partial<TrainerOptions>,
  batches: readonly TrainBatch[],
): Promise<{ results: StepResult[]; logits: Float32Array }> {
  await using trainer = await createTrainer(trainerOptions(options));
  const results: StepResult[] = [];
  for (const batch of batches) results.push(await trainer.step(batch, RATE));
  return { results, logits: await trainer.evaluate(pictures(2, 9).inputs, 2, { weights: 'current' }) };
}

function expectNear(found: StepResult[], expected: StepResult[]): void {
  expect(found).toHaveLength(expected.length);
  found.forEach(({ loss, gradientNorm }, i) => {
    expect(loss).toBeCloseTo(expected[i]?.loss ?? NaN, 4);
    expect(gradientNorm).toBeCloseTo(expected[i]?.gradientNorm ?? NaN, 3);
  });
}

describe('a batch in parts', () => {
  const batches = [pictures(BATCH, 1), pictures(BATCH, 2), pictures(BATCH, 3)];

  test.each([1, 4])('%d rows a run: the same step as the whole batch at once', async (microBatch) => {
    const [parts, whole] = [await train({ microBatch }, batches), await train({}, batches)];
    expectNear(parts.results, whole.results);
    parts.logits.forEach((logit, i) => expect(logit).toBeCloseTo(whole.logits[i] ?? NaN, 3));
  });

  test.each([BATCH, 4])('rows of weight 0 change nothing (%d rows a run)', async (microBatch) => {
    const small = batches.map(({ inputs, targets, weights }) => ({
      inputs: inputs.subarray(0, 4 * PICTURE_BYTES),
      targets: targets.subarray(0, 4 * CLASSES),
      weights: weights.subarray(0, 4),
    }));
    const padded = batches.map((batch) => ({ ...batch, weights: Float32Array.of(1, 1, 1, 1, 0, 0) }));
    const options = { microBatch, dropRate: 0 };
    expectNear((await train(options, padded)).results, (await train(options, small)).results);
  });

  test('weights are shares: twice as much for all is the same', async () => {
    const doubled = batches.map((batch) => ({ ...batch, weights: new Float32Array(BATCH).fill(2) }));
    expectNear((await train({}, doubled)).results, (await train({}, batches)).results);
  });

  test('a row of weight 2 is two rows', async () => {
    const once: TrainBatch = {
      inputs: pictures(BATCH, 1).inputs.subarray(0, 2 * PICTURE_BYTES),
      targets: pictures(BATCH, 1).targets.subarray(0, 2 * CLASSES),
      weights: Float32Array.of(2, 1),
    };
    const twice: TrainBatch = {
      inputs: Buffer.concat([once.inputs.subarray(0, PICTURE_BYTES), once.inputs] as Uint8Array[]),
      targets: Float32Array.of(...once.targets.subarray(0, CLASSES), ...once.targets),
      weights: Float32Array.of(1, 1, 1),
    };
    const options = { dropRate: 0 };
    expectNear((await train(options, [once])).results, (await train(options, [twice])).results);
  });
});

test('float pixels give the step of the same bytes', async () => {
  const batch = pictures();
  const floats = { ...batch, inputs: Float32Array.from(batch.inputs) };
  const [asFloats, asBytes] = [await train({ pixels: 'float32' }, [floats]), await train({}, [batch])];
  expect(asFloats.results).toEqual(asBytes.results);
  expect(asFloats.logits).toEqual(asBytes.logits);
});

test('the caller has its arrays back at once', async () => {
  await using trainer = await createTrainer(trainerOptions());
  const batch = pictures();
  const first = trainer.step(batch, RATE);
  batch.inputs.fill(0);
  batch.targets.fill(0);
  batch.weights.fill(0);
  const { results } = await train({}, [pictures()]);
  expect(await first).toEqual(results[0]);
});

test.each([2, BATCH])('a stop in run %d ends the step after it, which has changed nothing', async (last) => {
  const stop = new AbortController();
  const runs: string[] = [];
  const createHost = watched(({ graph }) => {
    runs.push(graph);
    if (runs.length === last) stop.abort(new StoppedError('cancelled', 'the test has had enough'));
  });
  await using trainer = await createTrainer(trainerOptions({ microBatch: 1 }), { createHost });
  const before = await trainer.state();
  const step = trainer.step(pictures(), { ...RATE, signal: stop.signal });
  await expect(step).rejects.toMatchObject({ code: 'cancelled' });
  expect(runs).toEqual(Array.from({ length: last }, () => 'accumulate'));
  expect(await trainer.state()).toEqual(before);
  const { inputs } = pictures();
  await expect(trainer.evaluate(inputs, BATCH, { signal: stop.signal })).rejects.toMatchObject({
    code: 'cancelled',
  });
});

test.each(['made', 'loads its first graph'])(
  'a trainer that is told to stop as its host is %s leaves nothing',
  async (when) => {
    await using folder = await temporaryFolder();
    const stop = new AbortController();
    const enough = (): void => stop.abort(new StoppedError('cancelled', 'enough'));
    const loads: string[] = [];
    const createHost: typeof createGraphHost = (options) => {
      if (when === 'made') enough();
      const host = createGraphHost(options);
      const load: typeof host.load = (name, model) => {
        loads.push(name);
        enough();
        return host.load(name, model);
      };
      return Object.create(host, { load: { value: load } }) as typeof host;
    };
    const { microBatch: _, ...options } = trainerOptions({ signal: stop.signal, folder: folder.path });
    await expect(createTrainer(options, { createHost })).rejects.toMatchObject({ code: 'cancelled' });
    expect(loads).toEqual(when === 'made' ? [] : ['evaluate']);
    expect(await readdir(folder.path)).toEqual([]);
  },
);

describe('memory that runs out', () => {
  const losses = async (trainer: Trainer, count: number): Promise<StepResult[]> => {
    const results: StepResult[] = [];
    for (let i = 0; i < count; i++) results.push(await trainer.step(pictures(BATCH, i), RATE));
    return results;
  };

  test('halves the rows of a run and goes on: the steps are those of a machine with room', async () => {
    const room = { rows: BATCH };
    await using trainer = await createTrainer(trainerOptions(), { createHost: cramped(room) });
    const found = await losses(trainer, 1);
    room.rows = 2;
    found.push(await trainer.step(pictures(BATCH, 1), RATE));
    expect(trainer.microBatch).toBe(2);
    found.push(await trainer.step(pictures(BATCH, 2), RATE));
    await using roomy = await createTrainer(trainerOptions());
    expectNear(found, await losses(roomy, 3));
    expect((await trainer.state()).step).toBe(3);
  });

  test('while features are made halves the pictures of a run: they are the same features', async () => {
    const { inputs } = pictures(9);
    const head = trainerOptions({ strategy: { kind: 'head' } });
    const room = { rows: 64 };
    await using trainer = await createTrainer(head, { createHost: cramped(room) });
    const roomy = await trainer.features(inputs, 9);
    room.rows = 2;
    const found = await trainer.features(inputs, 9);
    found.forEach((value, i) => expect(value).toBeCloseTo(roomy[i] ?? NaN, 5));
    room.rows = 0;
    await expect(trainer.features(inputs, 9)).rejects.toMatchObject({ code: 'out_of_memory' });
  });

  test('at a run of one row it is an error, and changes nothing', async () => {
    const room = { rows: BATCH };
    await using trainer = await createTrainer(trainerOptions(), { createHost: cramped(room) });
    const before = await trainer.state();
    room.rows = 0;
    await expect(trainer.step(pictures(), RATE)).rejects.toMatchObject({ code: 'out_of_memory' });
    expect({ ...(await trainer.state()), microBatch: BATCH }).toEqual(before);
  });
});

describe('refused', () => {
  test('a loss that is not finite: nothing has changed', async () => {
    await using trainer = await createTrainer(trainerOptions({ pixels: 'float32' }));
    const batch = pictures();
    const broken = { ...batch, inputs: new Float32Array(batch.inputs.length).fill(NaN) };
    const before = await trainer.state();
    await expect(trainer.step(broken, RATE)).rejects.toMatchObject({ code: 'loss_not_finite' });
    expect(await trainer.state()).toEqual(before);
  });

  test.each<[string, (batch: TrainBatch) => Partial<TrainBatch>]>([
    ['too few pixels', ({ inputs }) => ({ inputs: inputs.subarray(1) })],
    ['floats for bytes', ({ inputs }) => ({ inputs: Float32Array.from(inputs) })],
    ['targets of another length', () => ({ targets: new Float32Array(1) })],
    ['no weight at all', () => ({ weights: new Float32Array(BATCH) })],
    ['a negative weight', () => ({ weights: Float32Array.of(1, 1, -1, 1, 1, 1) })],
    ['a weight that is no number', () => ({ weights: Float32Array.of(1, 1, NaN, 1, 1, 1) })],
    ['too many rows', () => pictures(BATCH + 1)],
    ['no rows', () => pictures(0)],
  ])('%s', async (_, broken) => {
    await using trainer = await createTrainer(trainerOptions());
    const batch = pictures();
    await expect(trainer.step({ ...batch, ...broken(batch) }, RATE)).rejects.toMatchObject({
      code: 'invalid_batch',
    });
  });
});
