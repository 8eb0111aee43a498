import { randomUUID } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createClassificationHandler, type ClassificationHandler } from '../../handlers/cls.ts';
import { ModelError, StoppedError } from '../../src/base/errors.ts';
import type { ClassificationTools } from '../../src/classification/tools.ts';
import { createTrainer } from '../../src/training/create-trainer.ts';
import { cramped } from '../support/graph-hosts.ts';
import {
  addDataset,
  epochRows,
  objectOf,
  runRow,
  runTraining,
  startTrainingCloud,
  trainerWith,
  type TestDataset,
  type TrainingCloud,
} from '../support/training.ts';

let cloud: TrainingCloud;
let dataset: TestDataset;

beforeAll(async () => {
  cloud = await startTrainingCloud();
  dataset = await addDataset(cloud, { classes: { cola: 20, apple: 20 } });
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const CONFIG = {
  model_name: 'resnet50',
  strategy: 'full',
  epochs: 3,
  batch_size: 8,
  learning_rate: 0.003,
  augmentation: 'light',
  early_stopping: false,
};

function handlerWith(tools: Partial<ClassificationTools>): ClassificationHandler {
  return createClassificationHandler({ ...cloud.tools, ...tools });
}

test('memory that runs out halves the runs of a step and accumulates: what is learnt is the same', async () => {
  const input = { dataset_id: dataset.id, config: CONFIG };
  const roomy = await runTraining(cloud, input);
  const room = { rows: Infinity };
  const handler = handlerWith({
    createTrainer: (options) => createTrainer(options, { createHost: cramped(room) }),
  });
  const { output, runId, messages } = await runTraining(cloud, input, {
    handler,
    onProgress: (news) => {
      if (news.stage === 'training' && news.epoch === 2) room.rows = 2;
    },
  });
  expect(output).toMatchObject({ status: 'COMPLETED', training_stats: { steps: 12 } });
  expect(messages.filter((message) => message.startsWith('Memory ran out'))).toHaveLength(2);
  const [rows, expected] = [await epochRows(cloud, runId), await epochRows(cloud, roomy.runId)];
  expect(rows.map(({ extra_metrics: more }) => (more as { micro_batch: number }).micro_batch)).toEqual([
    8, 2, 2,
  ]);
  for (const [i, row] of rows.entries()) {
    expect(row.train_loss).toBeCloseTo(Number(expected[i]?.train_loss), 4);
    expect(row.val_accuracy).toBe(expected[i]?.val_accuracy);
  }
}, 120_000);

test('a loss that is not finite fails the run, whose checkpoint is there to go on from with another rate', async () => {
  let steps = 0;
  const handler = handlerWith({
    createTrainer: trainerWith((trainer) => ({
      step: (batch, given) => {
        steps += 1;
        if (steps > 6) return Promise.reject(new ModelError('loss_not_finite', 'the loss is NaN'));
        return trainer.step(batch, given);
      },
    })),
  });
  const failed = await runTraining(cloud, { dataset_id: dataset.id, config: CONFIG }, { handler });
  expect(failed.output).toMatchObject({ status: 'FAILED', error_code: 'loss_not_finite' });
  expect(await runRow(cloud, failed.runId)).toMatchObject({
    status: 'failed',
    error_message: 'the loss is NaN',
  });
  expect(await readdir(cloud.runsFolder)).toEqual([]);
  const { output } = await runTraining(cloud, {
    dataset_id: dataset.id,
    config: { ...CONFIG, learning_rate: 0.001 },
    resume_from: failed.runId,
  });
  expect(output).toMatchObject({ status: 'COMPLETED', training_stats: { steps: 12, resumed_from_epoch: 1 } });
}, 120_000);

test('a disk without room for the pictures is told before one is fetched', async () => {
  const before = cloud.images.count;
  const handler = handlerWith({ freeBytes: () => Promise.resolve(100_000) });
  const { output, runId } = await runTraining(cloud, { dataset_id: dataset.id, config: CONFIG }, { handler });
  expect(output).toMatchObject({ status: 'FAILED', error_code: 'cache_disk_full' });
  expect(output.error).toMatch(/larger disk, or set TMPDIR/);
  expect(await runRow(cloud, runId)).toMatchObject({ status: 'failed', error_message: output.error });
  expect(cloud.images.count).toBe(before);
  expect(await readdir(cloud.runsFolder)).toEqual([]);
});

test('pictures that an earlier attempt has left on the disk need no room again', async () => {
  const runId = randomUUID();
  const input = { training_run_id: runId, dataset_id: dataset.id, config: { ...CONFIG, epochs: 1 } };
  const stop = new AbortController();
  const first = runTraining(cloud, input, {
    signal: stop.signal,
    onProgress: ({ stage }) => {
      if (stage === 'training') stop.abort(new StoppedError('shutdown', 'the worker is stopped'));
    },
  });
  await expect(first).rejects.toMatchObject({ code: 'shutdown' });
  const handler = handlerWith({ freeBytes: () => Promise.resolve(0) });
  const { output } = await runTraining(cloud, input, { handler });
  expect(output).toMatchObject({ status: 'COMPLETED' });
}, 120_000);

test('a checkpoint that cannot be written costs the checkpoint, not the run', async () => {
  const runId = randomUUID();
  // A folder in the place of the passing file.
  await mkdir(join(cloud.runsFolder, runId, 'checkpoint.safetensors.part', 'x'), { recursive: true });
  const { output, messages } = await runTraining(
    cloud,
    { training_run_id: runId, dataset_id: dataset.id, config: CONFIG },
    { handler: handlerWith({ checkpointIntervalMs: 0 }) },
  );
  expect(output).toMatchObject({ status: 'COMPLETED', training_stats: { epochs: 3 } });
  expect(output.warnings).toContain('there is no checkpoint to store: it could not be written');
  expect(messages).toContain('the checkpoint could not be written: the run goes on without');
  expect(await readdir(cloud.runsFolder)).toEqual([]);
}, 120_000);

test('checkpoints go to the bucket while the run goes on, in a project without the bucket too', async () => {
  await cloud.supabase.sql("delete from storage.objects where bucket_id = 'cls-models'");
  await cloud.supabase.sql("delete from storage.buckets where id = 'cls-models'");
  const runId = randomUUID();
  const stop = new AbortController();
  const { output } = await runTraining(
    cloud,
    { training_run_id: runId, dataset_id: dataset.id, config: { ...CONFIG, epochs: 5_000 } },
    {
      handler: handlerWith({ checkpointIntervalMs: 0, uploadIntervalMs: 0 }),
      signal: stop.signal,
      onLine: ({ message }) => {
        if (message === '[Checkpoint] stored in the bucket') stop.abort();
      },
    },
  );
  expect(output.status).toBe('CANCELLED');
  const { bytes } = await objectOf(cloud, `cls-models/${runId}/checkpoint.safetensors`);
  expect(bytes.length).toBeGreaterThan(1_000);
  expect(await readdir(cloud.runsFolder)).toEqual([]);
}, 120_000);

test.each(['val', 'train'])(
  'pictures fetched as they are needed, and none for %s: an error',
  async (split) => {
    const { id, paths } = await addDataset(cloud, {
      classes: { cola: 6, apple: 6 },
      split: (i) => (i < 4 ? 'train' : 'val'),
    });
    for (const [i, path] of Object.values(paths).flatMap((of) => [...of.entries()])) {
      if (i < 4 === (split === 'train')) cloud.images.misbehave(path, { status: 404 });
    }
    const { output } = await runTraining(cloud, {
      dataset_id: id,
      config: { ...CONFIG, preload_config: { enabled: false } },
    });
    expect(output).toMatchObject({ status: 'FAILED', error_code: 'too_little_data' });
    expect(output.error).toMatch(split === 'train' ? /images to train with/ : /images to validate with/);
  },
  120_000,
);

test('a run is cancelled while its trainer is made', async () => {
  const stop = new AbortController();
  const handler = handlerWith({
    createTrainer: (options) => {
      if (options.strategy.kind !== 'head') stop.abort();
      return createTrainer(options);
    },
  });
  const { output, progress } = await runTraining(
    cloud,
    { dataset_id: dataset.id, config: CONFIG },
    { handler, signal: stop.signal },
  );
  expect(output.status).toBe('CANCELLED');
  expect(progress.map(({ stage }) => stage)).not.toContain('training');
}, 120_000);

test('the traceback in the row has the causes, and no secret that one of them quotes', async () => {
  const cause = new Error('refused: apikey=sb_secret_of_somebody');
  const handler = handlerWith({
    createTrainer: () => Promise.reject(new ModelError('model_load_failed', 'no model', { cause })),
  });
  const { runId } = await runTraining(cloud, { dataset_id: dataset.id, config: CONFIG }, { handler });
  const row = await runRow(cloud, runId);
  expect(row).toMatchObject({ status: 'failed', error_message: 'no model' });
  expect(row.error_traceback).toMatch(/caused by: Error: refused: apikey=\[redacted\]/);
  expect(row.error_traceback).not.toContain('of_somebody');
}, 120_000);
