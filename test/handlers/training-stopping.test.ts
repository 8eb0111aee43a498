import { readdir } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createClassificationHandler } from '../../handlers/cls.ts';
import { StoppedError } from '../../src/base/errors.ts';
import {
  addDataset,
  epochRows,
  objectOf,
  runRow,
  runTraining,
  startTrainingCloud,
  type TestDataset,
  type TrainingCloud,
} from '../support/training.ts';

let cloud: TrainingCloud;
let dataset: TestDataset;

beforeAll(async () => {
  cloud = await startTrainingCloud();
  dataset = await addDataset(cloud, { classes: { cola: 24, apple: 24 } });
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

/** All weights of a small network, longer than any test waits. */
const LONG = {
  model_name: 'resnet50',
  strategy: 'full',
  epochs: 5_000,
  batch_size: 8,
  augmentation: 'light',
  early_stopping: false,
};

test('cancelled in the row: the run stops, the row stays as the page wrote it, and no model is stored', async () => {
  let cancelled: Promise<unknown> | undefined;
  const { runId, output } = await runTraining(
    cloud,
    { training_run_id: '00000000-0000-4000-8000-0000000000c1', dataset_id: dataset.id, config: LONG },
    {
      onProgress: (news) => {
        if (news.stage !== 'training' || news.epoch < 2) return;
        cancelled ??= cloud.supabase.sql("update cls_training_runs set status = 'cancelled' where id = $1", [
          '00000000-0000-4000-8000-0000000000c1',
        ]);
      },
    },
  );
  await cancelled;
  expect(output).toMatchObject({ status: 'CANCELLED', training_run_id: runId });
  expect(output.error).toBeUndefined();
  const row = await runRow(cloud, runId);
  expect(row).toMatchObject({ status: 'cancelled', model_url: null, completed_at: null });
  expect((await epochRows(cloud, runId)).length).toBeGreaterThanOrEqual(1);
  expect(await readdir(cloud.runsFolder)).toEqual([]);
}, 180_000);

test('cancelled before it began: nothing is fetched', async () => {
  const before = cloud.images.count;
  const { output } = await runTraining(
    cloud,
    { dataset_id: dataset.id, config: LONG },
    { row: { status: 'cancelled' } },
  );
  expect(output.status).toBe('CANCELLED');
  expect(cloud.images.count).toBe(before);
});

describe('stopped by the platform', () => {
  const runId = '00000000-0000-4000-8000-0000000000c2';

  test('the row stays under way, the checkpoint is in the bucket, and the next attempt elsewhere goes on from it', async () => {
    const stop = new AbortController();
    const stopped = runTraining(
      cloud,
      { training_run_id: runId, dataset_id: dataset.id, config: LONG },
      {
        signal: stop.signal,
        onProgress: (news) => {
          if (news.stage === 'training' && news.epoch >= 3 && news.step >= 2) {
            stop.abort(new StoppedError('shutdown', 'the worker is stopped'));
          }
        },
      },
    );
    await expect(stopped).rejects.toMatchObject({ code: 'shutdown' });
    const row = await runRow(cloud, runId);
    expect(row).toMatchObject({ status: 'training', completed_at: null, error_message: null });
    expect(row.current_epoch).toBeGreaterThanOrEqual(3);
    expect(
      (await objectOf(cloud, `cls-models/${runId}/checkpoint.safetensors`)).bytes.length,
    ).toBeGreaterThan(1_000);
    const before = await epochRows(cloud, runId);

    // Another machine: another folder.
    const elsewhere = createClassificationHandler({
      ...cloud.tools,
      runsFolder: `${cloud.runsFolder}-elsewhere`,
    });
    const epochs = before.length + 2;
    const { output, messages } = await runTraining(
      cloud,
      { training_run_id: runId, dataset_id: dataset.id, config: { ...LONG, epochs } },
      { handler: elsewhere },
    );
    expect(output).toMatchObject({
      status: 'COMPLETED',
      training_stats: { epochs, resumed_from_epoch: before.length },
    });
    expect(messages).toContain(`[Resume] from cls-models/${runId}: ${before.length} epochs done`);
    const after = await epochRows(cloud, runId);
    expect(after.map(({ epoch }) => epoch)).toEqual(Array.from({ length: epochs }, (_, i) => i + 1));
    expect(after.slice(0, before.length)).toEqual(before);
    expect(await readdir(`${cloud.runsFolder}-elsewhere`)).toEqual([]);
  }, 240_000);
});

test('a later attempt takes over: the earlier one stops and writes nothing more', async () => {
  const runId = '00000000-0000-4000-8000-0000000000c3';
  const input = { training_run_id: runId, dataset_id: dataset.id, config: LONG };
  const under = Promise.withResolvers<undefined>();
  const first = runTraining(cloud, input, {
    onProgress: (news) => {
      if (news.stage === 'training') under.resolve(undefined);
    },
  });
  const refused = expect(first).rejects.toMatchObject({ code: 'superseded' });
  await under.promise;
  const second = await runTraining(cloud, { ...input, config: { ...LONG, epochs: 1, keep_cache: false } });
  await refused;
  expect(second.output.status).toBe('COMPLETED');
  expect(await runRow(cloud, runId)).toMatchObject({ status: 'completed' });
}, 180_000);

test('a state that the API writes late over the last one is written again', async () => {
  const runId = '00000000-0000-4000-8000-0000000000c4';
  let overwritten: Promise<unknown> | undefined;
  await runTraining(
    cloud,
    {
      training_run_id: runId,
      dataset_id: dataset.id,
      config: { ...LONG, model_name: 'demo', strategy: 'head', epochs: 1 },
    },
    {
      onProgress: (news) => {
        if (news.stage !== 'uploading') return;
        overwritten ??= cloud.supabase.sql("update cls_training_runs set status = 'queued' where id = $1", [
          runId,
        ]);
      },
    },
  );
  await overwritten;
  expect(await runRow(cloud, runId)).toMatchObject({ status: 'completed' });
}, 120_000);
