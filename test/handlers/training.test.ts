import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { inTurn, startServer } from '../http/support.ts';
import {
  addDataset,
  epochRows,
  objectOf,
  runRow,
  runTraining,
  startTrainingCloud,
  type TrainingCloud,
} from '../support/training.ts';

let cloud: TrainingCloud;

beforeAll(async () => {
  cloud = await startTrainingCloud();
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const CONFIG = { model_name: 'demo', epochs: 3, batch_size: 8, augmentation: 'light' };

test('a run from its input to rows, bucket and webhook', async () => {
  const hooks: string[] = [];
  await using api = await startServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      hooks.push(body);
      response.end('{}');
    });
  });
  const dataset = await addDataset(cloud, {
    classes: { cola: 20, apple: 20, pear: 20 },
    split: (i) => (i < 12 ? 'train' : i < 17 ? 'val' : 'test'),
  });
  const { runId, output, messages, progress } = await runTraining(cloud, {
    dataset_id: dataset.id,
    config: CONFIG,
    api_url: `${api.url}/`,
  });
  expect(output.error).toBeUndefined();
  expect(output).toMatchObject({
    status: 'COMPLETED',
    training_run_id: runId,
    model_url: `cls-models/${runId}/model.onnx`,
    onnx_url: `cls-models/${runId}/model.onnx`,
    class_names: ['apple', 'cola', 'pear'],
  });
  console.log(JSON.stringify(output, null, 1).slice(0, 6000), messages, progress.length);
  const rows = await epochRows(cloud, runId);
  console.log(rows, await runRow(cloud, runId), hooks, await readdir(cloud.runsFolder));
  void createHash;
  void inTurn;
  void objectOf;
});
