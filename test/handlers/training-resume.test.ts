import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createClassificationHandler } from '../../handlers/cls.ts';
import {
  addDataset,
  epochRows,
  insert,
  insertRun,
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

const CONFIG = {
  model_name: 'resnet50',
  strategy: 'full',
  epochs: 4,
  batch_size: 8,
  augmentation: 'medium',
  use_mixup: true,
  learning_rate: 0.003,
  early_stopping: false,
};
const CHILD = join(import.meta.dirname, '../support/training-child.ts');

function startChild(input: Record<string, unknown>): { child: ChildProcess; lines: () => string } {
  const child = spawn(process.execPath, [CHILD, '--test_input', JSON.stringify({ input })], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      ALLOW_PRIVATE_HOSTS: '1',
      INFERENCE_THREADS: '1',
      HF_HUB_OFFLINE: '1',
      MODEL_DIR: cloud.modelsFolder,
      LOG_LEVEL: 'debug',
      TEST_RUNS_FOLDER: cloud.runsFolder,
    },
  });
  let words = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (piece: Buffer) => (words += piece.toString()));
  return { child, lines: () => words };
}

/** What of a run does not depend on when it ran. */
async function courseOf(runId: string): Promise<unknown[]> {
  const rows = await epochRows(cloud, runId);
  return rows.map(({ epoch, train_loss, val_loss, val_accuracy, val_f1, learning_rate }) => ({
    epoch,
    train_loss,
    val_loss,
    val_accuracy,
    val_f1,
    learning_rate,
  }));
}

test('a run that is killed goes on where it was, and comes to the same numbers as one that was not', async () => {
  const undisturbed = await runTraining(cloud, { dataset_id: dataset.id, config: CONFIG });
  expect(undisturbed.output.status).toBe('COMPLETED');

  const runId = '00000000-0000-4000-8000-0000000000d1';
  const input = { training_run_id: runId, dataset_id: dataset.id, config: CONFIG };
  await insertRun(cloud, runId, { dataset_id: dataset.id });
  const { child, lines } = startChild({ ...input, ...cloud.credentials });
  const closed = once(child, 'close');
  // In the middle of the second epoch: after its first checkpoints.
  const isInSecond = (): boolean => /"epoch":1,"taken":(?:8|16)/.test(lines());
  while (!isInSecond() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGKILL');
  await closed;
  expect(isInSecond()).toBe(true);
  expect(await readdir(cloud.runsFolder)).toContain(runId);
  expect(await runRow(cloud, runId)).toMatchObject({ status: 'training' });

  const requests = cloud.images.count;
  const handler = createClassificationHandler({ ...cloud.tools, checkpointIntervalMs: 0 });
  const { output, messages } = await runTraining(cloud, input, { handler });
  expect(messages).toContain('[Resume] from this machine: 1 epochs done');
  expect(output).toMatchObject({ status: 'COMPLETED', training_stats: { epochs: 4, resumed_from_epoch: 1 } });
  expect(cloud.images.count).toBe(requests);
  expect(await courseOf(runId)).toEqual(await courseOf(undisturbed.runId));
  expect(output.metrics?.val_loss).toBe(undisturbed.output.metrics?.val_loss);
  expect(output.metrics?.temperature).toBe(undisturbed.output.metrics?.temperature);
  expect(await readdir(cloud.runsFolder)).toEqual([]);
}, 240_000);

describe('resume_from', () => {
  test('an earlier run goes on for more epochs, under another id', async () => {
    const first = await runTraining(cloud, { dataset_id: dataset.id, config: { ...CONFIG, epochs: 2 } });
    const { runId, output } = await runTraining(cloud, {
      dataset_id: dataset.id,
      config: { ...CONFIG, epochs: 3 },
      resume_from: first.runId,
    });
    expect(output).toMatchObject({
      status: 'COMPLETED',
      training_stats: { epochs: 3, resumed_from_epoch: 2 },
    });
    expect((await epochRows(cloud, runId)).map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  }, 120_000);

  test('what is not there, and what is of another configuration, is an error that says so', async () => {
    const gone = await runTraining(cloud, {
      dataset_id: dataset.id,
      config: CONFIG,
      resume_from: '00000000-0000-4000-8000-00000000dead',
    });
    expect(gone.output).toMatchObject({ status: 'FAILED', error_code: 'resume_not_found' });
    const first = await runTraining(cloud, { dataset_id: dataset.id, config: { ...CONFIG, epochs: 1 } });
    const other = await runTraining(cloud, {
      dataset_id: dataset.id,
      config: { ...CONFIG, batch_size: 16 },
      resume_from: `cls-models/${first.runId}/checkpoint.safetensors`,
    });
    expect(other.output).toMatchObject({ status: 'FAILED', error_code: 'checkpoint_mismatch' });
  }, 120_000);
});

test('a run that begins anew forgets what an earlier attempt has written of later epochs', async () => {
  const runId = '00000000-0000-4000-8000-0000000000d2';
  await insert(cloud, 'training_metrics_history', [
    { training_run_id: runId, training_type: 'cls', epoch: 9, val_accuracy: 1 },
    { training_run_id: runId, training_type: 'embedding', epoch: 9, val_accuracy: 2 },
  ]);
  const config = { ...CONFIG, epochs: 1 };
  await runTraining(cloud, { training_run_id: runId, dataset_id: dataset.id, config });
  expect((await epochRows(cloud, runId)).map(({ epoch }) => epoch)).toEqual([1]);
  const others = await cloud.supabase.sql(
    "select epoch from training_metrics_history where training_run_id = $1 and training_type = 'embedding'",
    [runId],
  );
  expect(others).toEqual([{ epoch: 9 }]);
}, 120_000);
