import { readdir } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createClassificationHandler } from '../../handlers/cls.ts';
import { StoppedError } from '../../src/base/errors.ts';
import { startServer } from '../http/support.ts';
import { testProxy } from '../support/proxy.ts';
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

/** A head on a small network, over in a second. */
const SHORT = { model_name: 'resnet50', strategy: 'head', epochs: 1, batch_size: 8, augmentation: 'none' };

test('cancelled in the last second: the row stays as the page wrote it, and the API is told of no model', async () => {
  const runId = '00000000-0000-4000-8000-0000000000c5';
  await using api = await startServer((_, response) => response.end('{}'));
  await using proxy = await testProxy(cloud.supabase.url);
  proxy.intercept = async ({ method, path, body }) => {
    if (method !== 'PATCH' || !path.includes('cls_training_runs') || !body.includes('"completed"')) return;
    await cloud.supabase.sql("update cls_training_runs set status = 'cancelled' where id = $1", [runId]);
    return undefined;
  };
  const { output } = await runTraining(cloud, {
    training_run_id: runId,
    dataset_id: dataset.id,
    config: SHORT,
    supabase_url: proxy.url,
    api_url: api.url,
  });
  expect(output).toMatchObject({ status: 'CANCELLED', training_run_id: runId });
  expect(await runRow(cloud, runId)).toMatchObject({ status: 'cancelled', model_url: null });
  expect(api.requests).toEqual([]);
}, 120_000);

test('an attempt that stood still while another took the run over does not write over its files', async () => {
  const runId = '00000000-0000-4000-8000-0000000000c6';
  const handler = createClassificationHandler({
    ...cloud.tools,
    createTrainer: trainerWith((trainer) => ({
      exportModel: async (given) => {
        const exported = await trainer.exportModel(given);
        await cloud.supabase.sql("update cls_training_runs set lease_holder = 'other/1' where id = $1", [
          runId,
        ]);
        return exported;
      },
    })),
  });
  const input = { training_run_id: runId, dataset_id: dataset.id, config: SHORT };
  await expect(runTraining(cloud, input, { handler })).rejects.toMatchObject({ code: 'superseded' });
  const stored = await cloud.supabase.sql('select name from storage.objects where name like $1', [
    `${runId}/%`,
  ]);
  expect(stored).toEqual([]);
  expect(await runRow(cloud, runId)).toMatchObject({ status: 'training', model_url: null });
}, 120_000);

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

test('stopped by the platform when all epochs are done: the next attempt elsewhere need not train', async () => {
  const stop = new AbortController();
  const config = { ...LONG, epochs: 2 };
  const input = { training_run_id: '00000000-0000-4000-8000-0000000000c7', dataset_id: dataset.id, config };
  const stopped = runTraining(cloud, input, {
    signal: stop.signal,
    onProgress: ({ stage }) => {
      if (stage === 'exporting') stop.abort(new StoppedError('shutdown', 'the worker is stopped'));
    },
  });
  await expect(stopped).rejects.toMatchObject({ code: 'shutdown' });
  const runsFolder = `${cloud.runsFolder}-elsewhere`;
  const handler = createClassificationHandler({ ...cloud.tools, runsFolder });
  const { output, progress } = await runTraining(cloud, input, { handler });
  expect(output).toMatchObject({ status: 'COMPLETED', training_stats: { epochs: 2, resumed_from_epoch: 2 } });
  expect(progress.map(({ stage }) => stage)).not.toContain('training');
}, 120_000);

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
  const { settleMs: _, ...tools } = cloud.tools;
  await runTraining(
    cloud,
    {
      training_run_id: runId,
      dataset_id: dataset.id,
      config: SHORT,
    },
    {
      handler: createClassificationHandler(tools),
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
