import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createClassificationHandler } from '../../handlers/cls.ts';
import type { DataReport } from '../../src/classification/data-report.ts';
import {
  addDataset,
  epochRows,
  insert,
  runRow,
  runTraining,
  startTrainingCloud,
  trainerWith,
  type TrainingCloud,
  type TrainingRun,
} from '../support/training.ts';

let cloud: TrainingCloud;

beforeAll(async () => {
  cloud = await startTrainingCloud();
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const CONFIG = { model_name: 'demo', epochs: 2, batch_size: 8, augmentation: 'none' };

const dataOf = ({ output }: TrainingRun): DataReport | undefined => output.training_stats?.data;

test('of a dataset with 5% broken urls the others train, and the report names the broken ones', async () => {
  const { id, paths } = await addDataset(cloud, { classes: { cola: 40, apple: 40 } });
  const broken = [
    paths.cola?.[0] ?? '',
    paths.cola?.[1] ?? '',
    paths.apple?.[2] ?? '',
    paths.apple?.[3] ?? '',
  ];
  cloud.images.misbehave(broken[0] ?? '', { status: 404 });
  cloud.images.misbehave(broken[1] ?? '', { status: 503 });
  cloud.images.misbehave(broken[2] ?? '', { body: '<html>', type: 'text/html' });
  cloud.images.misbehave(broken[3] ?? '', 'truncated');
  const run = await runTraining(cloud, {
    dataset_id: id,
    config: { ...CONFIG, data_loading: { preload: { retry_delay: 0.1, retry_attempts: 2 } } },
  });
  expect(run.output).toMatchObject({ status: 'COMPLETED' });
  expect(dataOf(run)).toMatchObject({
    images: 80,
    splits: { train: 60, val: 16, test: 0 },
    broken: { images: 2, by_code: { http_404: 1, http_503: 1 } },
    undecodable: { images: 2, by_code: { not_an_image: 1, truncated: 1 } },
  });
  expect(cloud.images.requests.get(broken[1] ?? '')).toBe(2);
  expect(run.output.warnings).toContain('[Data] 2 images could not be fetched (http_404: 1, http_503: 1)');
  expect(run.messages).toContain('[Preload] Batch 1/1: 76 loaded, 4 failed');
}, 120_000);

describe('what cannot be trained ends with what is missing, in the row and in the output', () => {
  async function refused(dataset_id: string, code: string): Promise<string> {
    const { runId, output } = await runTraining(cloud, { dataset_id, config: CONFIG });
    expect(output).toMatchObject({ status: 'FAILED', error_code: code });
    const row = await runRow(cloud, runId);
    expect(row).toMatchObject({ status: 'failed', error_message: output.error, model_url: null });
    expect(row.error_traceback).toMatch(/^HandlerError: /);
    expect(row.completed_at).not.toBeNull();
    expect(await epochRows(cloud, runId)).toEqual([]);
    return output.error ?? '';
  }

  test('a dataset with a single class', async () => {
    const { id } = await addDataset(cloud, { classes: { cola: 5 } });
    expect(await refused(id, 'too_few_classes')).toMatch(
      /has one active class, cola: training needs at least two$/,
    );
  });

  test('one with none', async () => {
    const { id } = await addDataset(cloud, { classes: {} });
    expect(await refused(id, 'too_few_classes')).toMatch(/has no active class/);
  });

  test('one of classes without images', async () => {
    const { id } = await addDataset(cloud, { classes: { cola: 0, apple: 0 } });
    expect(await refused(id, 'no_images')).toMatch(/has 2 classes and no labelled image/);
  });

  test('several labels an image', async () => {
    const { id } = await addDataset(cloud, { classes: { cola: 2, apple: 2 }, taskType: 'multi_label' });
    expect(await refused(id, 'multi_label_unsupported')).toMatch(/several labels an image are not built yet/);
  });

  test('one whose pictures are gone', async () => {
    const { id, paths } = await addDataset(cloud, { classes: { cola: 4, apple: 4 } });
    for (const path of paths.cola ?? []) cloud.images.misbehave(path, { status: 410 });
    const message = await refused(id, 'too_little_data');
    expect(message).toMatch(
      /one class alone \(apple\), and at least two are needed; of 8 labelled images 4 could not be had/,
    );
    expect(message).toMatch(/http_410: 4/);
  });

  test('no such dataset', async () => {
    const id = randomUUID();
    const { output } = await runTraining(cloud, { dataset_id: id, config: CONFIG }, { row: null });
    expect(output).toMatchObject({ status: 'FAILED', error_code: 'dataset_not_found' });
    expect(output.warnings).toEqual([expect.stringMatching(/^cls_training_runs has no row/)]);
  });
});

test("a server that never answers is given up after the job's own time-out", async () => {
  const { id, paths } = await addDataset(cloud, { classes: { cola: 6, apple: 6 } });
  const silent = paths.apple?.[0] ?? '';
  cloud.images.misbehave(silent, 'silent');
  const run = await runTraining(cloud, {
    dataset_id: id,
    config: { ...CONFIG, data_loading: { preload: { http_timeout: 5, retry_attempts: 1 } } },
  });
  expect(run.output.status).toBe('COMPLETED');
  expect(dataOf(run)?.broken).toMatchObject({ images: 1, by_code: { timeout: 1 } });
  expect(dataOf(run)?.broken.first[0]?.message).toMatch(/took longer than 5000 ms|timed out/);
  expect(cloud.images.requests.get(silent)).toBe(1);
}, 120_000);

test('without preloading pictures come in as they are needed, each once, and a broken one is left out', async () => {
  const { id, paths } = await addDataset(cloud, { classes: { cola: 10, apple: 10 } });
  cloud.images.misbehave(paths.cola?.[0] ?? '', { status: 404 });
  const run = await runTraining(cloud, {
    dataset_id: id,
    config: { ...CONFIG, model_name: 'resnet50', strategy: 'full', preload_config: { enabled: false } },
  });
  expect(run.output.status).toBe('COMPLETED');
  expect(run.messages).toContain('Preload enabled: False');
  expect(run.messages.filter((message) => message.startsWith('[Preload]'))).toEqual([]);
  const requests = Object.values(paths)
    .flat()
    .map((path) => cloud.images.requests.get(path));
  expect(requests).toEqual(new Array(20).fill(1));
  expect(dataOf(run)?.broken).toMatchObject({ images: 1, by_code: { http_404: 1 } });
  expect(run.output.warnings).toContain('[Data] 1 images could not be fetched (http_404: 1)');
}, 120_000);

test('without preloading, figures of images to test with that cannot be had are none', async () => {
  const { id, paths } = await addDataset(cloud, {
    classes: { cola: 10, apple: 10 },
    split: (i) => (i < 6 ? 'train' : i < 8 ? 'val' : 'test'),
  });
  for (const path of Object.values(paths).flatMap((of) => of.slice(8))) {
    cloud.images.misbehave(path, { status: 404 });
  }
  const config = { ...CONFIG, model_name: 'resnet50', preload_config: { enabled: false } };
  const { output } = await runTraining(cloud, { dataset_id: id, config });
  expect(output).toMatchObject({ status: 'COMPLETED', metrics: { test: null } });
}, 120_000);

test('without preloading, an export is checked with images that can be had', async () => {
  const { paths } = await addDataset(cloud, { classes: { cola: 20, apple: 20 } });
  const labelled = (name: string, label: number) =>
    (paths[name] ?? []).map((path) => ({ url: cloud.images.url + encodeURI(path), label }));
  const [cola, apple] = [labelled('cola', 0), labelled('apple', 1)];
  for (const path of paths.cola?.slice(10) ?? []) cloud.images.misbehave(path, { status: 404 });
  const dataset = {
    train_urls: [...cola.slice(0, 10), ...apple.slice(0, 10)],
    val_urls: [...cola.slice(10), ...apple.slice(10)],
    class_names: ['cola', 'apple'],
  };
  const checked: unknown[] = [];
  const createTrainer = trainerWith((trainer) => ({
    exportModel: (given) => {
      checked.push([given.weights, given.check.count]);
      return trainer.exportModel(given);
    },
  }));
  const handler = createClassificationHandler({ ...cloud.tools, createTrainer });
  const config = { ...CONFIG, model_name: 'resnet50', preload_config: { enabled: false } };
  const { output } = await runTraining(cloud, { dataset, config }, { handler });
  expect(output.status).toBe('COMPLETED');
  expect(checked).toEqual([['best', 6]]);
}, 120_000);

test('the same picture in training and in validation is left out of training', async () => {
  const { id } = await addDataset(cloud, {
    classes: { cola: 10, apple: 10 },
    split: (i) => (i < 7 ? 'train' : 'val'),
  });
  const [shared] = await cloud.supabase.sql(
    `select i.image_url, l.class_id from cls_labels l join cls_images i on i.id = l.image_id
     join cls_dataset_images d on d.image_id = i.id where l.dataset_id = $1 and d.split = 'val' limit 1`,
    [id],
  );
  const copy = randomUUID();
  await insert(cloud, 'cls_images', [
    { id: copy, filename: 'copy.png', image_url: `${String(shared?.image_url)}?copy` },
  ]);
  await insert(cloud, 'cls_dataset_images', [{ dataset_id: id, image_id: copy, split: 'train' }]);
  await insert(cloud, 'cls_labels', [{ dataset_id: id, image_id: copy, class_id: shared?.class_id }]);
  const run = await runTraining(cloud, { dataset_id: id, config: CONFIG });
  expect(dataOf(run)).toMatchObject({
    splits: { train: 14, val: 6 },
    leaked: { images: 1, first: [copy], kept: 0 },
  });
}, 120_000);

test('the decoded pictures stay where the job asks for it, and nothing else', async () => {
  const { id } = await addDataset(cloud, { classes: { cola: 5, apple: 5 } });
  const kept = await runTraining(cloud, { dataset_id: id, config: { ...CONFIG, keep_cache: true } });
  expect(await readdir(cloud.runsFolder)).toEqual([kept.runId]);
  expect(await readdir(join(cloud.runsFolder, kept.runId))).toContain('pictures.bin');
}, 120_000);

test('decoded pictures are in memory where the job asks for it, and there alone', async () => {
  const { id } = await addDataset(cloud, { classes: { cola: 5, apple: 5 } });
  const memoryOf = async (use_memory_cache: boolean): Promise<unknown> => {
    const config = { ...CONFIG, data_loading: { preload: { use_memory_cache } } };
    const { output, lines } = await runTraining(cloud, { dataset_id: id, config });
    expect(output.status).toBe('COMPLETED');
    return lines.find(({ message }) => message.startsWith('[Data] '))?.memory_bytes;
  };
  expect(await memoryOf(false)).toBe(0);
  // Ten pictures of 96 x 96, each up to half as long again.
  expect(await memoryOf(true)).toBe(10 * 96 * 96 * 3 * 1.5);
}, 120_000);

test('imbalance above 3:1 is made up for by itself', async () => {
  const { id } = await addDataset(cloud, { classes: { cola: 48, apple: 12 } });
  const run = await runTraining(cloud, { dataset_id: id, config: CONFIG });
  expect(run.output.training_stats).toMatchObject({
    balance: 'rare classes are shown more often and count more (imbalanced above 3:1)',
  });
  expect(run.output.warnings).toContain('[Data] the largest class has 3.8 times the images of the smallest');
}, 120_000);
