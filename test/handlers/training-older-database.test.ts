import { afterAll, beforeAll, expect, test } from '@jest/globals';

import {
  addDataset,
  epochRows,
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
  dataset = await addDataset(cloud, { classes: { cola: 6, apple: 6 } });
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const CONFIG = { model_name: 'demo', epochs: 2, batch_size: 4, augmentation: 'none' };

test('columns that a database lacks are told once each, and the others are written', async () => {
  for (const [table, column] of [
    ['cls_training_runs', 'lease_holder'],
    ['cls_training_runs', 'best_top5_accuracy'],
    ['cls_training_runs', 'error_traceback'],
    ['training_metrics_history', 'extra_metrics'],
    ['training_metrics_history', 'val_top5_accuracy'],
  ] as const)
    await cloud.supabase.sql(`alter table ${table} drop column ${column}`);
  const { runId, output } = await runTraining(cloud, { dataset_id: dataset.id, config: CONFIG });
  expect(output.status).toBe('COMPLETED');
  const absent = output.warnings.filter((warning) => warning.includes('has no column'));
  expect(absent.sort()).toEqual([
    'cls_training_runs has no column best_top5_accuracy: it is not written; apply supabase/migrations',
    'cls_training_runs has no column error_traceback: it is not written; apply supabase/migrations',
    'cls_training_runs has no column lease_holder: two runs of one job would not know of each other; apply supabase/migrations',
    'training_metrics_history has no column extra_metrics: it is not written; apply supabase/migrations',
    'training_metrics_history has no column val_top5_accuracy: it is not written; apply supabase/migrations',
  ]);
  expect(await runRow(cloud, runId)).toMatchObject({
    status: 'completed',
    best_accuracy: 100,
    current_epoch: 2,
  });
  expect(await epochRows(cloud, runId)).toMatchObject([
    { epoch: 1, val_accuracy: 100 },
    { epoch: 2, val_accuracy: 100 },
  ]);
}, 120_000);

test('a database without the table of epochs: the run is none the worse', async () => {
  await cloud.supabase.sql('drop table training_metrics_history');
  const { runId, output } = await runTraining(cloud, { dataset_id: dataset.id, config: CONFIG });
  expect(output.status).toBe('COMPLETED');
  expect(output.warnings).toContain(
    'the database lacks the table training_metrics_history: the course of the training is told in the report alone',
  );
  expect(await runRow(cloud, runId)).toMatchObject({ status: 'completed' });
}, 120_000);

test('keys stand in no line, no output and no row, whatever goes wrong', async () => {
  const secrets = {
    supabase_key: cloud.credentials.supabase_key,
    hf_token: 'hf_abcdefghijklmnopqrstuvwxyz012345',
  };
  for (const config of [CONFIG, { ...CONFIG, model_name: 'convnext_tiny' }]) {
    const { runId, output, lines } = await runTraining(cloud, { dataset_id: dataset.id, config, ...secrets });
    const told = JSON.stringify([output, lines, await runRow(cloud, runId)]);
    for (const secret of Object.values(secrets)) expect(told).not.toContain(secret);
  }
}, 120_000);

test('a bucket that takes no model ends the run, and no model is named', async () => {
  await cloud.supabase.sql(
    "update storage.buckets set allowed_mime_types = array['application/zip'] where id = 'cls-models'",
  );
  const { runId, output } = await runTraining(cloud, { dataset_id: dataset.id, config: CONFIG });
  expect(output).toMatchObject({ status: 'FAILED', error_code: 'supabase_rejected' });
  expect(output.error).toMatch(/^uploading cls-models\/.*\/model\.onnx: /);
  expect(await runRow(cloud, runId)).toMatchObject({
    status: 'failed',
    model_url: null,
    error_message: output.error,
  });
}, 120_000);
