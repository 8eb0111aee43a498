import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';

import { readModel } from '../../src/onnx/codec.ts';
import { startServer, type TestServer } from '../http/support.ts';
import {
  addDataset,
  epochRows,
  objectOf,
  runRow,
  runTraining,
  startTrainingCloud,
  type TestDataset,
  type TrainingCloud,
  type TrainingRun,
} from '../support/training.ts';

let cloud: TrainingCloud;
let api: TestServer;
let dataset: TestDataset;
let run: TrainingRun;
const hooks: { path: string; body: unknown }[] = [];

const CONFIG = { model_name: 'demo', epochs: 3, batch_size: 8, augmentation: 'light' };
const SIDE = 96;

beforeAll(async () => {
  cloud = await startTrainingCloud();
  api = await startServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      hooks.push({ path: request.url ?? '', body: JSON.parse(body) as unknown });
      response.end('{}');
    });
  });
  dataset = await addDataset(cloud, {
    classes: { cola: 20, apple: 20, pear: 20 },
    split: (i) => (i < 12 ? 'train' : i < 17 ? 'val' : 'test'),
  });
  run = await runTraining(cloud, { dataset_id: dataset.id, config: CONFIG, api_url: `${api.url}/` });
}, 180_000);

afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await cloud[Symbol.asyncDispose]();
});

describe('a run from its input to rows, bucket and webhook', () => {
  test('gives what the contract says', () => {
    const { runId, output } = run;
    expect(output).toMatchObject({
      status: 'COMPLETED',
      training_run_id: runId,
      metrics: { best_val_acc: 100, best_epoch: 3, best_val_f1: 1, test: { accuracy: 100, images: 9 } },
      model_url: `cls-models/${runId}/model.onnx`,
      onnx_url: `cls-models/${runId}/model.onnx`,
      model_info: { model_name: 'demo', strategy: 'head', num_classes: 3, image_size: SIDE },
      class_names: ['apple', 'cola', 'pear'],
      training_stats: { epochs: 3, steps: 15, stopped_because: 'all_epochs' },
      warnings: [],
    });
    expect(output.error).toBeUndefined();
    expect(output.metrics?.total_time).toBeGreaterThan(0);
    expect(output.metrics?.baselines).toMatchObject({ knn_acc: 100, train_images: 36, val_images: 15 });
    expect(output.metrics?.confusion_matrix).toEqual([
      [5, 0, 0],
      [0, 5, 0],
      [0, 0, 5],
    ]);
    expect(output.model_info?.export_max_abs_diff).toBeLessThan(1e-4);
  });

  test('writes its row', async () => {
    expect(await runRow(cloud, run.runId)).toMatchObject({
      status: 'completed',
      current_epoch: 3,
      best_accuracy: 100,
      best_f1: 1,
      best_top5_accuracy: 100,
      best_epoch: 3,
      model_url: `cls-models/${run.runId}/model.onnx`,
      onnx_url: `cls-models/${run.runId}/model.onnx`,
      error_message: null,
      error_traceback: null,
      started_at: expect.any(String),
      completed_at: expect.any(String),
    });
  });

  test('writes one row an epoch', async () => {
    const rows = await epochRows(cloud, run.runId);
    expect(rows.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    for (const row of rows) {
      expect(row).toMatchObject({
        training_type: 'cls',
        val_accuracy: 100,
        val_f1: 1,
        val_top5_accuracy: 100,
      });
      expect(row.train_loss).toBeGreaterThan(0);
      expect(row.val_loss).toBeGreaterThan(0);
      expect(row.learning_rate).toBeGreaterThan(0);
      expect(row.epoch_duration_seconds).toBeGreaterThan(0);
      expect(row.extra_metrics).toMatchObject({ steps: 5, images: 15 });
    }
  });

  test('stores model, report, metrics and checkpoint as octet streams, with their checksums in the output', async () => {
    const { training_stats: stats } = run.output;
    const artefacts = stats !== undefined && 'artefacts' in stats ? stats.artefacts : {};
    expect(Object.keys(artefacts).sort()).toEqual([
      'checkpoint.safetensors',
      'metrics.json',
      'model.onnx',
      'report.html',
    ]);
    for (const { url, bytes, sha256 } of Object.values(artefacts)) {
      const stored = await objectOf(cloud, url);
      expect(stored.type).toBe('application/octet-stream');
      expect(stored.bytes).toHaveLength(bytes);
      expect(createHash('sha256').update(stored.bytes).digest('hex')).toBe(sha256);
    }
  });

  test('tells the API', () => {
    const url = `cls-models/${run.runId}/model.onnx`;
    expect(hooks).toEqual([
      {
        path: '/api/v1/classification/training/webhook',
        body: {
          training_run_id: run.runId,
          status: 'completed',
          model_url: url,
          onnx_url: url,
          confusion_matrix: run.output.metrics?.confusion_matrix,
          per_class_metrics: run.output.metrics?.per_class,
        },
      },
    ]);
  });

  test('says how data is loaded, and leaves nothing on the disk', async () => {
    expect(run.messages.slice(0, 6)).toEqual([
      '[Data Loading Config] Using defaults',
      'Preload enabled: True',
      'Batched: True',
      'Batch size: 500',
      'Max workers: 8',
      'HTTP timeout: 30s',
    ]);
    expect(run.messages).toContain('[Preload] Batch 1/1: 60 loaded, 0 failed');
    expect(await readdir(cloud.runsFolder)).toEqual([]);
  });

  test('tells how far it is: pictures, features, then step, loss and time left', () => {
    const stages = run.progress.map(({ stage }) => stage);
    expect([...new Set(stages)]).toEqual([
      'pictures',
      'features',
      'baselines',
      'training',
      'evaluating',
      'exporting',
      'uploading',
    ]);
    const steps = run.progress.filter((news) => news.stage === 'training');
    expect(steps).toHaveLength(15);
    expect(run.progress).toContainEqual({ stage: 'baselines', knn_acc: 100, ridge_acc: expect.any(Number) });
    expect(steps.at(-1)).toMatchObject({
      epoch: 3,
      epochs: 3,
      step: 5,
      steps: 5,
      seconds_left: 0,
      best_val_acc: 100,
    });
  });
});

test('the exported file classifies new pictures through onnxruntime-node alone', async () => {
  const { bytes } = await objectOf(cloud, run.output.model_url ?? '');
  const card = new Map(readModel(bytes).metadata.map(({ key, value }) => [key, value]));
  expect(Number(card.get('temperature'))).toBe(run.output.metrics?.temperature);
  expect(card.get('training_run_id')).toBe(run.runId);
  const session = await InferenceSession.create(bytes);
  const names = run.output.class_names ?? [];
  const [input = ''] = session.inputNames;
  const first = dataset.paths.apple?.[0] ?? '';
  // Shots that the dataset does not have: of other numbers.
  for (const [name, paths] of Object.entries(dataset.paths)) {
    expect(paths[0]?.replace(name, 'apple')).toBe(first);
    const picture = await cloud.images.picture(paths[0]?.replace(/\/0\.png$/, '/777.png') ?? '');
    const pixels = await sharp(picture)
      .resize(SIDE, SIDE, { fit: 'fill', kernel: 'linear' })
      .removeAlpha()
      .raw()
      .toBuffer();
    const values = Float32Array.from({ length: 3 * SIDE * SIDE }, (_, i) => {
      const [channel, place] = [Math.floor(i / SIDE ** 2), i % SIDE ** 2];
      return (pixels[place * 3 + channel] ?? 0) / 255;
    });
    const answer = await session.run({ [input]: new Tensor('float32', values, [1, 3, SIDE, SIDE]) });
    const logits = Array.from(answer[run.output.model_info?.logits_output ?? '']?.data as Float32Array);
    expect(names[logits.indexOf(Math.max(...logits))]).toBe(name);
  }
  await session.release();
});

test('a job that carries its images, with both loading forms at once: the new one holds', async () => {
  const of = (thing: string, numbers: number[], label: number) =>
    numbers.map((n) => ({ url: `${cloud.images.url}/shots/legacy ${thing}/${n}.png`, label }));
  const { output, messages } = await runTraining(cloud, {
    dataset: {
      train_urls: [...of('one', [0, 1, 2, 3], 0), ...of('two', [0, 1, 2, 3], 1)],
      val_urls: [...of('one', [4, 5], 0), ...of('two', [4, 5], 1)],
      class_names: ['class_a', 'class_b'],
    },
    config: {
      ...CONFIG,
      use_amp: true,
      data_loading: { preload: { max_workers: 2, http_timeout: 60 } },
      preload_config: { max_workers: 5, batched: false },
    },
  });
  expect(output).toMatchObject({ status: 'COMPLETED', class_names: ['class_a', 'class_b'] });
  expect(messages).toContain("[Data Loading Config] Using 'data_loading.preload' format");
  expect(messages).toContain('Max workers: 2');
  expect(output.warnings).toContain('keys that change nothing here: use_amp (training runs in float32)');
  expect(output.metrics?.test).toBeNull();
}, 120_000);

test('an API that is away for a moment is told when it is back', async () => {
  const answers = [503, 502, 200];
  await using api = await startServer((_, response) => response.writeHead(answers.shift() ?? 500).end());
  const { output } = await runTraining(cloud, {
    dataset_id: dataset.id,
    config: { ...CONFIG, epochs: 1 },
    api_url: api.url,
  });
  expect(output).toMatchObject({ status: 'COMPLETED', warnings: [] });
  expect(api.requests).toHaveLength(3);
}, 120_000);

test('an API that does not answer is a warning: the model is stored', async () => {
  await using refusing = await startServer((_, response) => response.writeHead(404).end());
  const { runId, output } = await runTraining(cloud, {
    dataset_id: dataset.id,
    config: { ...CONFIG, epochs: 1, export_onnx: false },
    api_url: refusing.url,
  });
  expect(output).toMatchObject({ status: 'COMPLETED', onnx_url: null });
  expect(output.warnings).toEqual([
    expect.stringMatching(/^the API was not told that the run is completed: POST .* 404$/),
  ]);
  expect(await runRow(cloud, runId)).toMatchObject({ status: 'completed', onnx_url: null });
}, 120_000);
