import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { rowOf } from '../support/api/runs.ts';
import { jsonLines, runCli } from '../support/cli.ts';
import { addDataset, startTrainingCloud, type TestDataset, type TrainingCloud } from '../support/training.ts';

let cloud: TrainingCloud;
let dataset: TestDataset;
let env: Record<string, string>;

beforeAll(async () => {
  cloud = await startTrainingCloud();
  dataset = await addDataset(cloud, { classes: { cola: 8, apple: 8 } });
  // What a training needs, and no more: there is no Qdrant, and no RunPod.
  env = {
    SUPABASE_URL: cloud.supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: cloud.supabase.serviceKey,
    ALLOW_PRIVATE_HOSTS: '1',
    HF_HUB_OFFLINE: '1',
    TMPDIR: cloud.runsFolder,
  };
}, 120_000);
afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const train = (...options: string[]): string[] => [
  'train',
  '--dataset-id',
  dataset.id,
  '--config.model-name=demo',
  '--config.epochs=2',
  '--config.batch-size=8',
  '--json',
  ...options,
];

test('a classifier is trained in this process, epoch by epoch, and its row tells the same', async () => {
  const { code, stdout } = await runCli(train('--here', '--name=By hand', '--config.augmentation', 'none'), {
    env,
  });
  const lines = jsonLines(stdout);
  expect({ code, last: lines.at(-1) }).toMatchObject({
    code: 0,
    last: {
      kind: 'classification',
      status: 'completed',
      name: 'By hand',
      progress: { done: 2, total: 2, unit: 'epochs' },
      result: { status: 'COMPLETED', model_url: expect.any(String) },
    },
  });
  expect(await rowOf(cloud.supabase, String(lines[0]?.id))).toMatchObject({
    status: 'completed',
    name: 'By hand',
    runpod_endpoint_id: expect.stringMatching(/^here-/),
  });
});

test('a dry run prints the input; without an endpoint nothing is submitted, and no row is left', async () => {
  const dry = await runCli(train('--dry-run'), { env });
  expect(JSON.parse(dry.stdout)).toMatchObject({
    dataset_id: dataset.id,
    config: { epochs: 2, model_name: 'demo' },
  });
  const before = await cloud.supabase.sql('select id from cls_training_runs');
  const refused = await runCli(train(), { env });
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.stdout)).toMatchObject({
    error: { message: expect.stringContaining('RUNPOD_ENDPOINT_CLS_TRAINING') },
  });
  expect(await cloud.supabase.sql('select id from cls_training_runs')).toEqual(before);
  const none = await runCli(['train', '--dataset-id=839c284e-5ace-5b18-a087-25ceb89add55', '--here'], {
    env,
  });
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('--dataset-id: is no dataset') });
});
