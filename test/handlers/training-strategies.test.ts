import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

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
  dataset = await addDataset(cloud, { classes: { cola: 24, apple: 24, pear: 24 } });
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const CONFIG = {
  epochs: 12,
  batch_size: 12,
  learning_rate: 0.01,
  augmentation: 'light',
  patience: 12,
  drop_rate: 0,
};

const RUNS: [strategy: string, model: string, more: object][] = [
  ['head', 'resnet50', { use_mixup: true }],
  ['lora', 'vit_tiny_patch16_224', { lora_rank: 4 }],
  ['last_k', 'resnet50', { last_k: 2, loss: 'focal', optimizer: 'sgd' }],
  ['full', 'vit_tiny_patch16_224', { layer_decay: 1, use_mixup: true, scheduler: 'onecycle' }],
  ['head_then_full', 'resnet50', { loss: 'cosface', gradient_accumulation: 2 }],
];

test.each(RUNS)(
  '%s on %s learns, is exported, and says what it did',
  async (strategy, model_name, more) => {
    const { output } = await runTraining(cloud, {
      dataset_id: dataset.id,
      config: { ...CONFIG, ...more, model_name, strategy },
    });
    expect(output.error).toBeUndefined();
    expect(output).toMatchObject({
      status: 'COMPLETED',
      model_info: { model_name, strategy, image_size: 32 },
    });
    expect(output.metrics?.best_val_acc).toBeGreaterThan(80);
    expect(output.model_info?.export_max_abs_diff).toBeLessThan(1e-4);
    const { trained, all } = output.model_info?.parameters ?? { trained: 0, all: 0 };
    expect(trained).toBeGreaterThan(0);
    // All weights are trained by full, and a part of them by the others.
    if (strategy === 'full' || strategy === 'head_then_full') expect(trained).toBeGreaterThan(all * 0.9);
    else expect(trained).toBeLessThan(all);
    if (strategy === 'head_then_full') expect(output.metrics?.head_acc).toBeGreaterThan(50);
    else expect(output.metrics?.head_acc).toBeNull();
  },
  120_000,
);

test('images to test with have no part in a run that trains more than a head, until its end', async () => {
  const { id } = await addDataset(cloud, {
    classes: { cola: 12, apple: 12 },
    split: (i) => (i < 6 ? 'train' : i < 8 ? 'val' : 'test'),
  });
  const { output, progress } = await runTraining(cloud, {
    dataset_id: id,
    config: { ...CONFIG, epochs: 1, model_name: 'resnet50', strategy: 'full' },
  });
  expect(output.metrics?.test).toMatchObject({ images: 8 });
  expect(progress.filter(({ stage }) => stage === 'features').at(-1)).toMatchObject({ done: 16, total: 16 });
}, 120_000);

describe('a run ends early', () => {
  test('where it gets no better, and keeps the best weights', async () => {
    const { runId, output } = await runTraining(cloud, {
      dataset_id: dataset.id,
      config: { ...CONFIG, model_name: 'demo', epochs: 200, patience: 3, early_stopping_metric: 'val_f1' },
    });
    const rows = await epochRows(cloud, runId);
    expect(output.training_stats).toMatchObject({ stopped_because: 'no_better', epochs: rows.length });
    expect(rows.length).toBeLessThan(200);
    const best = rows.find(({ epoch }) => epoch === output.metrics?.best_epoch);
    expect(output.metrics?.best_val_acc).toBe(best?.val_accuracy);
    expect(output.metrics?.val_loss).toBeCloseTo(Number(best?.val_loss), 5);
    expect(await runRow(cloud, runId)).toMatchObject({ best_epoch: best?.epoch, current_epoch: rows.length });
  }, 120_000);

  test('where its time is over, with what was learnt by then', async () => {
    const { output } = await runTraining(cloud, {
      dataset_id: dataset.id,
      config: {
        ...CONFIG,
        model_name: 'resnet50',
        strategy: 'full',
        epochs: 10_000,
        early_stopping: false,
        time_budget_seconds: 1,
      },
    });
    expect(output).toMatchObject({ status: 'COMPLETED', training_stats: { stopped_because: 'time_budget' } });
  }, 120_000);
});

test('a model without weights in timm is the one that is meant, with a warning; one that is not here is an error', async () => {
  const { output } = await runTraining(cloud, {
    dataset_id: dataset.id,
    config: { ...CONFIG, model_name: 'efficientnetv2_s' },
  });
  expect(output).toMatchObject({ status: 'FAILED', error_code: 'model_missing' });
  expect(output.error).toMatch(/the model 'tf_efficientnetv2_s' is not here/);
  expect(output.warnings).toEqual(['efficientnetv2_s has no trained weights: tf_efficientnetv2_s is used']);
});

test('a size of pictures that a file does not take is told, the default of every job is not', async () => {
  const config = { ...CONFIG, model_name: 'resnet50', strategy: 'head', epochs: 1 };
  const sized = async (more: object) => {
    const { output } = await runTraining(cloud, { dataset_id: dataset.id, config: { ...config, ...more } });
    expect(output).toMatchObject({ status: 'COMPLETED', model_info: { image_size: 32 } });
    return output.warnings;
  };
  expect(await sized({ image_size: 64 })).toContain(
    'image_size 64 changes nothing: the file of resnet50 takes pictures of 32 pixels',
  );
  expect((await sized({ image_size: 224 })).filter((text) => text.startsWith('image_size'))).toEqual([]);
}, 120_000);
