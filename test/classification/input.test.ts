import { describe, expect, test } from '@jest/globals';

import { InputError } from '../../src/base/errors.ts';
import { loadingLines } from '../../src/classification/input-loading.ts';
import { parseClassificationInput, type ClassificationInput } from '../../src/classification/input.ts';
import { readJob, TRAINING_JOBS } from '../support/job-files.ts';

const RUN = '83634220-d1f9-5e06-ac5c-e4b104a422ba';
const DATASET = '5CAF2288-A7D3-58A2-9C4A-9CE12DC6B856';

const withConfig = (config: unknown, more: object = {}): ClassificationInput =>
  parseClassificationInput({ training_run_id: RUN, dataset_id: DATASET, config, ...more });

function issuesOf(value: unknown): Record<string, string> {
  try {
    parseClassificationInput(value);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return Object.fromEntries(error.issues.map(({ key, message }) => [key, message]));
  }
  return {};
}

const configIssues = (config: unknown): Record<string, string> =>
  issuesOf({ training_run_id: RUN, dataset_id: DATASET, config });

describe('jobs as the API sends them', () => {
  test.each(TRAINING_JOBS)('%s parses as it stands, and no key of it is unknown', (name) => {
    expect(parseClassificationInput(readJob(name)).unknownKeys).toEqual([]);
  });

  test('a job with data_loading keeps every choice', () => {
    expect(parseClassificationInput(readJob('cls-data-loading.json'))).toMatchObject({
      training_run_id: RUN,
      dataset_id: DATASET.toLowerCase(),
      config: {
        model_name: 'vit_base_patch16_224',
        epochs: 30,
        weight_decay: 0.05,
        warmup_epochs: 5,
        augmentation: 'heavy',
        use_mixup: true,
        use_class_weights: true,
        patience: 10,
        drop_rate: 0.3,
        train_split: 0.8,
        seed: 42,
      },
      loading: {
        form: 'data_loading.preload',
        preload: { batch_size: 1_000, max_workers: 16, http_timeout: 60, retry_attempts: 3, retry_delay: 1 },
      },
      api_url: 'https://api.example.invalid',
    });
  });

  test('a legacy job has its images, and its preload_config', () => {
    const input = parseClassificationInput(readJob('cls-legacy-preload-config.json'));
    expect(input.dataset).toMatchObject({ class_names: ['class_a', 'class_b'] });
    expect(input.dataset?.train_urls).toHaveLength(4);
    expect(input.loading).toMatchObject({
      form: 'preload_config',
      preload: { batched: false, batch_size: 500, use_memory_cache: true, http_timeout: 30 },
      workers: 1,
    });
  });

  test('keys that change nothing here are named, with why', () => {
    expect(parseClassificationInput(readJob('cls-default.json')).meaningless).toEqual([
      'use_amp (training runs in float32)',
      'drop_path_rate (an exported graph has no blocks to drop)',
    ]);
  });
});

describe('defaults', () => {
  test('are those of the contract', () => {
    expect(parseClassificationInput({ training_run_id: RUN, dataset_id: DATASET })).toMatchObject({
      config: {
        epochs: 10,
        batch_size: 32,
        learning_rate: 1e-4,
        weight_decay: 0.01,
        optimizer: 'adamw',
        scheduler: 'cosine_warmup',
        warmup_epochs: 2,
        loss: 'label_smoothing',
        loss_smoothing: 0.1,
        focal_gamma: 2,
        augmentation: 'medium',
        use_mixup: false,
        mixup_alpha: 0.8,
        cutmix_alpha: 1,
        use_ema: true,
        ema_decay: 0.9999,
        gradient_accumulation: 1,
        gradient_clip: 1,
        early_stopping: true,
        patience: 5,
        use_class_weights: false,
        image_size: 224,
        drop_rate: 0.1,
        train_split: 0.8,
        seed: 42,
      },
      loading: {
        form: 'defaults',
        preload: {
          enabled: true,
          batched: true,
          batch_size: 500,
          max_workers: 8,
          http_timeout: 30,
          retry_attempts: 3,
          retry_delay: 1,
          use_memory_cache: false,
        },
        workers: 4,
        prefetch: 2,
      },
      meaningless: [],
      unknownKeys: [],
    });
  });

  test('null is absent at every depth', () => {
    const bare = parseClassificationInput({ training_run_id: RUN, dataset_id: DATASET });
    const nulls = Object.fromEntries(Object.keys(bare.config).map((key) => [key, null]));
    const nulled = withConfig(
      {
        ...nulls,
        use_amp: null,
        data_loading: { preload: { max_workers: null }, dataloader: { pin_memory: null } },
      },
      { api_url: null, resume_from: null, dataset: null, preload_config: null },
    );
    expect(nulled.config).toEqual({
      ...bare.config,
      data_loading: { preload: bare.loading.preload, dataloader: {} },
    });
    expect(nulled.loading).toEqual({ ...bare.loading, form: 'data_loading.preload' });
    expect(nulled.meaningless).toEqual([]);
  });
});

describe('data loading', () => {
  const preload = { max_workers: 16, batch_size: 1_000, http_timeout: 60 };
  const legacy = { max_workers: 5 };

  test.each<[string, object, object, string, number]>([
    [
      'both forms at once: the new one',
      { data_loading: { preload }, preload_config: legacy },
      {},
      'data_loading.preload',
      16,
    ],
    [
      'an empty preload is there',
      { data_loading: { preload: {} }, preload_config: legacy },
      {},
      'data_loading.preload',
      8,
    ],
    ['an empty data_loading has none', { data_loading: {}, preload_config: legacy }, {}, 'preload_config', 5],
    ['null has none', { data_loading: null, preload_config: legacy }, {}, 'preload_config', 5],
    [
      'a null preload is none',
      { data_loading: { preload: null }, preload_config: legacy },
      {},
      'preload_config',
      5,
    ],
    ['only dataloader is none', { data_loading: { dataloader: { num_workers: 2 } } }, {}, 'defaults', 8],
    ['neither', {}, {}, 'defaults', 8],
    ['at the top level', {}, { data_loading: { preload } }, 'data_loading.preload', 16],
    [
      'the new form at the top level before the old one in config',
      { preload_config: legacy },
      { data_loading: { preload } },
      'data_loading.preload',
      16,
    ],
    [
      'of one form, config before the top level',
      { preload_config: legacy },
      { preload_config: { max_workers: 3 } },
      'preload_config',
      5,
    ],
    ['the old form at the top level', {}, { preload_config: { max_workers: 3 } }, 'preload_config', 3],
  ])('%s', (_, config, top, form, workers) => {
    expect(withConfig(config, top).loading).toMatchObject({ form, preload: { max_workers: workers } });
  });

  test('the lines say which form was used and each value as it holds', () => {
    expect(loadingLines(withConfig({ data_loading: { preload } }).loading)).toEqual([
      "[Data Loading Config] Using 'data_loading.preload' format",
      'Preload enabled: True',
      'Batched: True',
      'Batch size: 1000',
      'Max workers: 16',
      'HTTP timeout: 60s',
    ]);
    const old = withConfig({ preload_config: { enabled: false, batched: false } }).loading;
    expect(loadingLines(old).slice(0, 3)).toEqual([
      "[Data Loading Config] Using legacy 'preload_config' format",
      'Preload enabled: False',
      'Batched: False',
    ]);
    expect(loadingLines(withConfig({}).loading)[0]).toBe('[Data Loading Config] Using defaults');
  });

  test('threads and batches ahead come from dataloader, threads also from num_workers', () => {
    const dataloader = { num_workers: 6, prefetch_factor: 4 };
    expect(withConfig({ data_loading: { dataloader }, num_workers: 2 }).loading).toMatchObject({
      workers: 6,
      prefetch: 4,
    });
    expect(withConfig({ num_workers: 2 }).loading).toMatchObject({ workers: 2, prefetch: 2 });
    expect(withConfig({ num_workers: 0 }).loading.workers).toBe(1);
  });

  test.each<[string, object, string]>([
    ['batch_size', { batch_size: 99 }, 'expected a whole number from 100 to 2000, without quotes, found 99'],
    [
      'batch_size',
      { batch_size: 2_001 },
      'expected a whole number from 100 to 2000, without quotes, found 2001',
    ],
    ['max_workers', { max_workers: 0 }, 'expected a whole number from 1 to 64, without quotes, found 0'],
    ['max_workers', { max_workers: 65 }, 'expected a whole number from 1 to 64, without quotes, found 65'],
    ['http_timeout', { http_timeout: 4 }, 'expected a number from 5 to 120, without quotes, found 4'],
    ['http_timeout', { http_timeout: 121 }, 'expected a number from 5 to 120, without quotes, found 121'],
    [
      'retry_attempts',
      { retry_attempts: 11 },
      'expected a whole number from 1 to 10, without quotes, found 11',
    ],
    ['retry_delay', { retry_delay: 0 }, 'expected a number from 0.1 to 10, without quotes, found 0'],
    ['retry_delay', { retry_delay: 11 }, 'expected a number from 0.1 to 10, without quotes, found 11'],
    ['enabled', { enabled: 'yes' }, 'expected true or false, found a string of 3 characters'],
  ])('a %s out of range is refused by its key, wherever it stands', (key, faulty, message) => {
    expect(configIssues({ data_loading: { preload: faulty } })).toEqual({
      [`config.data_loading.preload.${key}`]: message,
    });
    expect(configIssues({ preload_config: faulty })).toEqual({ [`config.preload_config.${key}`]: message });
    expect(
      issuesOf({ training_run_id: RUN, dataset_id: DATASET, data_loading: { preload: faulty } }),
    ).toEqual({
      [`data_loading.preload.${key}`]: message,
    });
  });

  test.each<[string, unknown, string]>([
    [
      'config.data_loading.dataloader.num_workers',
      { data_loading: { dataloader: { num_workers: 17 } } },
      'expected a whole number from 0 to 16, without quotes, found 17',
    ],
    [
      'config.num_workers',
      { num_workers: -1 },
      'expected a whole number from 0 to 16, without quotes, found -1',
    ],
    ['config.data_loading', { data_loading: 'fast' }, 'expected an object, found a string of 4 characters'],
  ])('%s is refused', (key, config, message) => {
    expect(configIssues(config)).toEqual({ [key]: message });
  });
});

describe('what is refused, by its key', () => {
  test.each<[string, unknown]>([
    ['epochs', 0],
    ['epochs', '10'],
    ['batch_size', 0],
    ['learning_rate', 0],
    ['learning_rate', 2],
    ['weight_decay', -0.1],
    ['optimizer', 'lion'],
    ['scheduler', 'linear'],
    ['loss', 'mse'],
    ['loss_smoothing', 1],
    ['augmentation', 'extreme'],
    ['ema_decay', 1],
    ['train_split', 1],
    ['train_split', 0],
    ['patience', 0],
    ['seed', -1],
    ['image_size', 16],
    ['drop_rate', 1],
    ['strategy', 'all'],
    ['model_name', 'resnet18'],
    ['gradient_clip', -1],
  ])('%s: %p', (key, value) => {
    expect(Object.keys(configIssues({ [key]: value }))).toEqual([`config.${key}`]);
  });

  test('a model that is not known is shown, with those that are', () => {
    expect(configIssues({ model_name: 'resnet18' })['config.model_name']).toMatch(
      /^expected one of vit_tiny_patch16_224, .*, demo, found "resnet18"$/,
    );
  });

  test('keys without a meaning may hold anything', () => {
    expect(
      configIssues({
        use_amp: 'yes',
        drop_path_rate: { a: 1 },
        data_loading: { dataloader: { pin_memory: 3 } },
      }),
    ).toEqual({});
    expect(withConfig({ data_loading: { dataloader: { pin_memory: true } } }).meaningless).toEqual([
      'pin_memory (batches are in plain memory)',
    ]);
  });

  test('a run without an id, or with nothing to train with', () => {
    expect(issuesOf({ config: {} })).toEqual({ training_run_id: 'is missing; expected a uuid' });
    expect(issuesOf({ training_run_id: RUN })).toEqual({
      dataset_id: 'is missing; expected a uuid, or a list of images in dataset',
    });
  });

  test('a label that names no class', () => {
    const dataset = {
      train_urls: [
        { url: 'https://images.example.invalid/0.jpg', label: 0 },
        { url: 'https://images.example.invalid/1.jpg', label: 2 },
      ],
      val_urls: [{ url: 'a.jpg', label: -1 }],
      class_names: ['a', 'b'],
    };
    expect(issuesOf({ training_run_id: RUN, dataset })).toEqual({
      'dataset.val_urls[0].label': 'expected a whole number from 0, without quotes, found -1',
    });
    expect(issuesOf({ training_run_id: RUN, dataset: { ...dataset, val_urls: [] } })).toEqual({
      'dataset.train_urls[1].label': 'expected a position in class_names, which has 2, found 2',
    });
  });

  test('an address without its key, and a key without its address', () => {
    const job = { training_run_id: RUN, dataset_id: DATASET };
    expect(issuesOf({ ...job, supabase_url: 'https://a.example.invalid' })).toEqual({
      supabase_key: 'is missing; supabase_url is given, and the two are only taken together',
    });
    expect(issuesOf({ ...job, supabase_key: 'sb_secret_x' })).toEqual({
      supabase_url: 'is missing; supabase_key is given, and the two are only taken together',
    });
  });

  test('a key is never shown', () => {
    const issues = issuesOf({ training_run_id: RUN, dataset_id: DATASET, supabase_key: 'very secret words' });
    expect(JSON.stringify(issues)).not.toContain('secret words');
  });
});

test('unknown keys are accepted at every depth, and named once', () => {
  const input = withConfig(
    { name: 'x', data_loading: { preload: { speed: 1 }, cache: true } },
    { dataset: { class_names: [], train_urls: [], note: 1 }, priority: 2 },
  );
  expect(input.unknownKeys.sort()).toEqual([
    'config.data_loading.cache',
    'config.data_loading.preload.speed',
    'config.name',
    'dataset.note',
    'priority',
  ]);
});
