import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createClassificationHandler, type ClassificationHandler } from '../../handlers/cls.ts';
import { StoppedError } from '../../src/base/errors.ts';
import { writeCheckpoint } from '../../src/training/checkpoint.ts';
import { startServer } from '../http/support.ts';
import { temporaryFolder } from '../support/folder.ts';
import {
  addDataset,
  epochRows,
  insert,
  insertRun,
  objectOf,
  runRow,
  runTraining,
  startTrainingCloud,
  type TestDataset,
  type TrainingCloud,
} from '../support/training.ts';

let cloud: TrainingCloud;
let dataset: TestDataset;

/** Where a process that is killed may not leave anything. */
let passing: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  cloud = await startTrainingCloud();
  passing = await temporaryFolder();
  dataset = await addDataset(cloud, { classes: { cola: 24, apple: 24 } });
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
  await passing[Symbol.asyncDispose]();
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

function startChild(
  input: Record<string, unknown>,
  env: Record<string, string> = {},
): { child: ChildProcess; lines: () => string } {
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
      TMPDIR: passing.path,
      ...env,
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
  expect(await readdir(passing.path)).toEqual([]);
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

test('a run that is killed goes on elsewhere from the checkpoint in the bucket', async () => {
  const runId = '00000000-0000-4000-8000-0000000000d4';
  const input = { training_run_id: runId, dataset_id: dataset.id, config: { ...CONFIG, epochs: 500 } };
  await insertRun(cloud, runId, { dataset_id: dataset.id });
  const { child, lines } = startChild({ ...input, ...cloud.credentials }, { TEST_UPLOADS: '1' });
  const closed = once(child, 'close');
  const isThere = (): boolean => /"epoch":3,"taken"[^]*Checkpoint\] stored/.test(lines());
  while (!isThere() && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGKILL');
  await closed;
  expect(isThere()).toBe(true);

  const runsFolder = `${cloud.runsFolder}-elsewhere`;
  const handler = createClassificationHandler({ ...cloud.tools, runsFolder });
  const shorter = { ...input, config: { ...CONFIG, epochs: 500, time_budget_seconds: 1 } };
  const { output, messages } = await runTraining(cloud, shorter, { handler });
  const { resumed_from_epoch: epoch } = output.training_stats as { resumed_from_epoch: number };
  expect(messages).toContain(`[Resume] from cls-models/${runId}: ${epoch} epochs done`);
  expect(epoch).toBeGreaterThanOrEqual(1);
  expect(output).toMatchObject({ status: 'COMPLETED' });
  expect(await readdir(runsFolder)).toEqual([]);
  // What the first machine has of it is not this one's to clear away.
  await rm(join(cloud.runsFolder, runId), { recursive: true });
  await rm(join(cloud.runsFolder, `${runId}.lock`), { force: true });
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

  test('a run whose epochs are all done is measured and stored under the new id, whose row has its figures', async () => {
    const config = { ...CONFIG, epochs: 2 };
    const first = await runTraining(cloud, { dataset_id: dataset.id, config });
    const input = { dataset_id: dataset.id, config, resume_from: first.runId };
    const { runId, output } = await runTraining(cloud, input);
    expect(output.warnings).toContainEqual(expect.stringMatching(/^all 2 epochs are done/));
    const best = ['best_epoch', 'best_accuracy', 'best_f1', 'best_top5_accuracy', 'current_epoch'];
    const [row, earlier] = [await runRow(cloud, runId), await runRow(cloud, first.runId)];
    expect(row).toMatchObject({ status: 'completed', model_url: `cls-models/${runId}/model.onnx` });
    expect(best.map((column) => row[column])).toEqual(best.map((column) => earlier[column]));
    expect(row.best_accuracy).not.toBeNull();
  }, 120_000);

  test('a run that had got no better goes on where that is asked for', async () => {
    const config = { ...CONFIG, early_stopping: true, patience: 1, learning_rate: 1e-9, epochs: 50 };
    const first = await runTraining(cloud, { dataset_id: dataset.id, config });
    const stopped = { stopped_because: 'no_better', epochs: 2 };
    expect(first.output).toMatchObject({ training_stats: stopped });
    const again = { dataset_id: dataset.id, config: { ...config, learning_rate: 0.01 } };
    const { output } = await runTraining(cloud, { ...again, resume_from: first.runId });
    expect(output.training_stats).toMatchObject({ resumed_from_epoch: 2 });
    expect((output.training_stats as { epochs: number }).epochs).toBeGreaterThan(2);
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

describe('a checkpoint by its address', () => {
  const served = async (status: number, body: Uint8Array | string) =>
    startServer((_, response) => response.writeHead(status).end(body));

  test('is fetched and gone on from; what is not there, or is none, is an error', async () => {
    const config = { ...CONFIG, epochs: 1 };
    const first = await runTraining(cloud, { dataset_id: dataset.id, config });
    const { bytes } = await objectOf(cloud, `cls-models/${first.runId}/checkpoint.safetensors`);
    await using there = await served(200, bytes);
    await using absent = await served(404, '');
    await using page = await served(200, '<html>');
    const resume = async (resume_from: string) =>
      (await runTraining(cloud, { dataset_id: dataset.id, config: CONFIG, resume_from })).output;
    expect(await resume(`${there.url}/run.safetensors?token=x`)).toMatchObject({
      status: 'COMPLETED',
      training_stats: { epochs: 4, resumed_from_epoch: 1 },
    });
    const gone = await resume(`${absent.url}/run.safetensors?token=secret`);
    expect(gone).toMatchObject({ status: 'FAILED', error_code: 'resume_not_found' });
    expect(gone.error).not.toContain('secret');
    const none = await resume(page.url);
    expect(none).toMatchObject({ status: 'FAILED', error_code: 'checkpoint_truncated' });
    expect(none.error).toContain(`resume_from (${page.url})`);
    const path = join(passing.path, 'other.safetensors');
    const trainer = { configuration: 'x', step: 1, microBatch: 1, random: [], vectors: {} };
    await writeCheckpoint(path, {
      trainer,
      sampler: { epoch: 1, taken: 0 },
      rest: { of: 'another program' },
    });
    await using foreign = await served(200, await readFile(path));
    await rm(path);
    const other = await resume(foreign.url);
    expect(other).toMatchObject({ status: 'FAILED', error_code: 'checkpoint_damaged' });
    expect(other.error).toMatch(/is of no run of a training job/);
    expect(await readdir(cloud.runsFolder)).toEqual([]);
  }, 120_000);
});

describe('a checkpoint of other data', () => {
  const config = { ...CONFIG, epochs: 2 };

  test('that the job names: other classes are refused, other images are gone on with', async () => {
    const first = await runTraining(cloud, { dataset_id: dataset.id, config });
    const more = await addDataset(cloud, { classes: { cola: 30, apple: 30 } });
    const other = await addDataset(cloud, { classes: { cola: 30, pear: 30 } });
    const resume = async (dataset_id: string) =>
      runTraining(cloud, { dataset_id, config: { ...CONFIG, epochs: 3 }, resume_from: first.runId });
    const refused = await resume(other.id);
    expect(refused.output).toMatchObject({ status: 'FAILED', error_code: 'checkpoint_mismatch' });
    expect(refused.output.error).toMatch(/is of other classes \(0: 'apple'\)/);
    const { runId, output } = await resume(more.id);
    // None of the epochs on other images is the best one, or a row of this run.
    expect(output).toMatchObject({
      status: 'COMPLETED',
      metrics: { best_epoch: 3 },
      training_stats: { epochs: 1, resumed_from_epoch: 2 },
    });
    expect((await epochRows(cloud, runId)).map(({ epoch }) => epoch)).toEqual([3]);
  }, 120_000);

  test('that an earlier attempt left: the run starts anew', async () => {
    const runId = '00000000-0000-4000-8000-0000000000d3';
    const input = { training_run_id: runId, dataset_id: dataset.id };
    const shutdown = async (given: object, handler: ClassificationHandler): Promise<void> => {
      const stop = new AbortController();
      const stopped = runTraining(
        cloud,
        { ...input, ...given },
        {
          handler,
          signal: stop.signal,
          onProgress: (news) => {
            if (news.stage === 'training' && news.epoch === 2)
              stop.abort(new StoppedError('shutdown', 'stop'));
          },
        },
      );
      await expect(stopped).rejects.toMatchObject({ code: 'shutdown' });
    };
    await shutdown({ config: CONFIG }, cloud.handler);
    const { id: changed } = await addDataset(cloud, { classes: { cola: 24, apple: 24 } });
    const { output } = await runTraining(cloud, { ...input, dataset_id: changed, config });
    expect(output).toMatchObject({ status: 'COMPLETED', training_stats: { resumed_from_epoch: null } });
    expect(output.warnings).toEqual(
      ['this machine', `cls-models/${runId}`].map(
        (from) =>
          `the checkpoint of an earlier attempt (${from}) is of other images or labels: the run starts anew`,
      ),
    );
    expect((await epochRows(cloud, runId)).map(({ epoch }) => epoch)).toEqual([1, 2]);
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
