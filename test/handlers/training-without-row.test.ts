import { readdir } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { InferenceSession } from 'onnxruntime-node';

import { createClassificationHandler } from '../../handlers/cls.ts';
import { StoppedError } from '../../src/base/errors.ts';
import { createLog } from '../../src/base/log.ts';
import type { RunNews } from '../../src/classification/report.ts';
import { invoke, type InvokeOptions } from '../../src/worker/invoke.ts';
import { startTrainingCloud, type TrainingCloud } from '../support/training.ts';

let cloud: TrainingCloud;

beforeAll(async () => {
  cloud = await startTrainingCloud();
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const CONFIG = { model_name: 'demo_conv', strategy: 'full', epochs: 2, batch_size: 4, augmentation: 'light' };

const shots = (thing: string, label: number) =>
  [0, 1, 2, 3].map((n) => ({ url: `${cloud.images.url}/shots/bare ${thing}/${n}.png`, label }));
const dataset = (urls: object[] = [...shots('one', 0), ...shots('two', 1)]) => ({
  train_urls: urls,
  class_names: ['one', 'two'],
});

const run = (input: object, options: InvokeOptions = {}) =>
  invoke(createClassificationHandler(cloud.tools), input, {
    log: createLog({ write: () => undefined }),
    ...options,
  });

test('a job without a row gives its model back, and writes nothing anywhere', async () => {
  const output = await run({ dataset: dataset(), config: CONFIG });
  expect(output).toMatchObject({
    status: 'COMPLETED',
    onnx_url: null,
    class_names: ['one', 'two'],
    training_stats: { epochs: 2, artefacts: {} },
  });
  expect(output).not.toHaveProperty('training_run_id');
  const [type, bytes = ''] = output.model_url?.split(',') ?? [];
  expect(type).toBe('data:application/octet-stream;base64');
  const session = await InferenceSession.create(Buffer.from(bytes, 'base64'));
  expect(session.outputNames).toEqual([output.model_info?.logits_output]);
  await session.release();
  for (const table of ['cls_training_runs', 'training_metrics_history', 'storage.objects']) {
    expect(await cloud.supabase.sql(`select * from ${table}`)).toEqual([]);
  }
  expect(await readdir(cloud.runsFolder)).toEqual([]);
}, 120_000);

test('figures of two classes of one name are told apart', async () => {
  const output = await run({ dataset: { ...dataset(), class_names: ['one', 'one'] }, config: CONFIG });
  expect(Object.keys(output.metrics?.per_class ?? {})).toEqual(['one (0)', 'one (1)']);
}, 120_000);

test('a path in storage needs Supabase: without, its picture alone fails', async () => {
  const urls = [...dataset().train_urls, { url: 'frames/gone.png', label: 0 }];
  const output = await run({ dataset: dataset(urls), config: CONFIG });
  expect(output).toMatchObject({
    status: 'COMPLETED',
    training_stats: { data: { broken: { images: 1, by_code: { storage_not_found: 1 } } } },
  });
  expect(output.training_stats?.data.broken.first[0]?.message).toMatch(
    /: give supabase_url and supabase_key$/,
  );
}, 120_000);

test('what cannot be trained is in the output', async () => {
  const output = await run({ dataset: dataset(shots('one', 0)), config: CONFIG });
  expect(output).toMatchObject({ status: 'FAILED', error_code: 'too_little_data' });
  expect(await readdir(cloud.runsFolder)).toEqual([]);
}, 120_000);

test('a job that is stopped leaves nothing, as no other attempt could find it', async () => {
  const stop = new AbortController();
  const output = await run(
    { dataset: dataset(), config: { ...CONFIG, epochs: 5_000 } },
    {
      signal: stop.signal,
      onProgress: (news) => {
        if ((news as RunNews).stage === 'training')
          stop.abort(new StoppedError('shutdown', 'the worker ends'));
      },
    },
  ).catch((error: unknown) => error);
  expect(output).toMatchObject({ code: 'shutdown' });
  expect(await readdir(cloud.runsFolder)).toEqual([]);
}, 120_000);
