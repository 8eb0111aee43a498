import { describe, expect, test } from '@jest/globals';

import {
  CLASSIFICATION_REQUEST,
  classificationInput,
  EXTRACTION_REQUESTS,
  extractionInput,
  planClassification,
  planExtraction,
  type Lookup,
  type Purpose,
} from '../../src/api/index.ts';
import { architectureOf } from '../../src/api/plan/architecture.ts';
import { InputError } from '../../src/base/errors.ts';
import { parseClassificationInput } from '../../src/classification/input.ts';
import { parseEmbeddingInput } from '../../src/embedding/input.ts';
import { BACKBONE_NAMES } from '../../src/model/backbones.ts';
import { DATASET_ID, everything, LABELLED_ID, MODEL } from '../support/api/requests.ts';
import { readJob } from '../support/job-files.ts';

const RUN_ID = '83634220-d1f9-5e06-ac5c-e4b104a422ba';

async function plan(purpose: Purpose, body: unknown, changes: Partial<Lookup> = {}) {
  return planExtraction(EXTRACTION_REQUESTS[purpose].parse(body), { lookup: everything(changes) });
}

async function namesOf(purpose: Purpose, body: unknown, changes: Partial<Lookup> = {}): Promise<string[]> {
  return (await plan(purpose, body, changes)).collections;
}

async function refusal(planned: Promise<unknown>): Promise<Record<string, string>> {
  const error: unknown = await planned.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(InputError);
  const issues = error instanceof InputError ? error.issues : [];
  return Object.fromEntries(issues.map(({ key, message }) => [key, message]));
}

const holds = (size: number): Partial<Lookup> => ({ collection: () => Promise.resolve({ size }) });
const trained = {
  model: () => Promise.resolve({ ...MODEL, name: 'Shelf Ä v2', checkpoint_url: 'a/best.onnx' }),
};

describe('collections have names by default', () => {
  test.each<[Purpose, object, string[]]>([
    ['matching', {}, ['products_dinov2_base', 'cutouts_dinov2_base']],
    ['matching', { source: 'products' }, ['products_dinov2_base']],
    ['matching', { source: 'cutouts' }, ['cutouts_dinov2_base']],
    ['training', {}, ['training_dinov2_base']],
    ['evaluation', { product_dataset_id: DATASET_ID }, ['evaluation_shelf_a_dinov2_base']],
    ['evaluation', { product_source: 'matched' }, ['evaluation_matched_dinov2_base']],
    ['production', {}, ['production_dinov2_base']],
    ['production', { collection_name: 'mine' }, ['mine']],
    ['matching', { product_collection: 'p', cutout_collection: 'c' }, ['p', 'c']],
  ])('%s %j: %j', async (purpose, body, names) => {
    expect(await namesOf(purpose, body)).toEqual(names);
  });

  test("a trained model's are its own, not those of the kind it was trained from", async () => {
    expect(await namesOf('production', { model: { id: MODEL.id } }, trained)).toEqual([
      'production_shelf_a_v2',
    ]);
    const model = { model_type: 'dinov2-base', embedding_dim: 768, checkpoint_url: 'a/best.onnx' };
    const [first = ''] = await namesOf('production', { model });
    const [second] = await namesOf('production', { model: { ...model, checkpoint_url: 'b/best.onnx' } });
    const [signed] = await namesOf('production', {
      model: { ...model, checkpoint_url: 'a/best.onnx?token=1' },
    });
    expect(first).toMatch(/^production_dinov2_base_[\da-f]{8}$/);
    expect(second).not.toBe(first);
    expect(signed).toBe(first);
    expect(await namesOf('production', { model: { ...model, name: 'Mine' } })).toEqual(['production_mine']);
  });
});

describe('what the stores do not have is refused, by the name of the field', () => {
  test('append to a collection that is missing', async () => {
    expect(await refusal(plan('matching', { collection_mode: 'append' }))).toEqual({
      product_collection: expect.stringContaining('"products_dinov2_base" does not exist'),
      cutout_collection: expect.stringContaining('"cutouts_dinov2_base" does not exist'),
    });
  });

  test('append to a collection of another size', async () => {
    expect(await refusal(plan('training', { collection_mode: 'append' }, holds(384)))).toEqual({
      collection_name:
        '"training_dinov2_base" holds vectors of 384 numbers; expected 768, the length of the model\'s',
    });
    await expect(plan('training', { collection_mode: 'append' }, holds(768))).resolves.toMatchObject({
      mode: 'append',
    });
  });

  test('create over a collection that exists: it would be mixed with what is there', async () => {
    expect(await refusal(plan('training', {}, holds(768)))).toEqual({
      collection_name: expect.stringContaining('exists already'),
    });
  });

  test('replace has what it is for, and need not', async () => {
    const replace = { collection_mode: 'replace' };
    await expect(plan('training', replace)).resolves.toMatchObject({ collections: ['training_dinov2_base'] });
    // Of another size, even: what is filled is another collection.
    await expect(plan('training', replace, holds(384))).resolves.toMatchObject({ mode: 'replace' });
  });

  test('a dataset, a model, an active model', async () => {
    const none = () => Promise.resolve(undefined);
    const byDataset = { product_source: 'dataset', product_dataset_id: DATASET_ID };
    expect(await refusal(plan('matching', byDataset, { dataset: none }))).toEqual({
      product_dataset_id: expect.stringContaining('is no dataset'),
    });
    expect(await refusal(plan('matching', { model: { id: DATASET_ID } }, { model: none }))).toEqual({
      'model.id': expect.stringContaining('is no model'),
    });
    expect(await refusal(plan('matching', {}, { activeModels: () => Promise.resolve([]) }))).toEqual({
      'model.id': expect.stringContaining('no model is active'),
    });
    expect(
      await refusal(plan('matching', {}, { activeModels: () => Promise.resolve([MODEL, MODEL]) })),
    ).toEqual({
      'model.id': expect.stringContaining('2 models are active'),
    });
  });

  test('a row of models that no worker can run, when its job is made', async () => {
    const torch = { activeModels: () => Promise.resolve([{ ...MODEL, checkpoint_url: 'a/best.pth' }]) };
    const planned = await plan('matching', {}, torch);
    expect(await refusal(Promise.resolve().then(() => extractionInput(planned, RUN_ID)))).toEqual({
      model: expect.stringContaining('torch checkpoint'),
    });
  });
});

describe('the jobs that the existing API sends are what requests become', () => {
  const SELECTED = readJob('matching-append-selected.json') as {
    source_config: { filters: { product_ids: string[] } };
  };
  test.each<[string, Purpose, object, Partial<Lookup>]>([
    ['matching-create.json', 'matching', { product_source: 'matched' }, {}],
    [
      'matching-append-selected.json',
      'matching',
      {
        product_source: 'selected',
        product_ids: SELECTED.source_config.filters.product_ids,
        cutout_has_embedding: false,
        cutout_filter_has_upc: true,
        cutout_merchant_ids: [12, 19],
        cutout_merchant_names: ['North Market', 'Corner Shop'],
        frame_selection: 'key_frames',
        collection_mode: 'append',
      },
      holds(768),
    ],
    [
      'matching-dataset-products-only.json',
      'matching',
      { source: 'products', product_source: 'dataset', product_dataset_id: DATASET_ID },
      {},
    ],
    ['training.json', 'training', { image_types: ['synthetic', 'real'], frame_selection: 'key_frames' }, {}],
  ])('%s', async (file, purpose, body, changes) => {
    const {
      supabase_url: _,
      supabase_service_key: _k,
      qdrant_url: _q,
      qdrant_api_key: _a,
      ...sent
    } = readJob(file);
    const ours = extractionInput(await plan(purpose, body, changes), String(sent.job_id));
    expect(parseEmbeddingInput(ours)).toMatchObject(parseEmbeddingInput(sent));
  });
});

describe('credentials', () => {
  const credentials = {
    supabase_url: 'https://project.example.invalid',
    supabase_service_key: 'sb_secret_example_not_real',
    qdrant_url: 'https://qdrant.example.invalid:6333',
    qdrant_api_key: 'example-not-real',
  };
  test('are in no input, unless they were given', async () => {
    const planned = await plan('matching', {});
    expect(JSON.stringify(extractionInput(planned, RUN_ID))).not.toMatch(/supabase|qdrant|hf_token/);
    expect(extractionInput(planned, RUN_ID, credentials)).toMatchObject(credentials);
  });

  test("of a training job go by its keys' names", async () => {
    const request = CLASSIFICATION_REQUEST.parse({ dataset_id: LABELLED_ID });
    const planned = await planClassification(request, { lookup: everything() });
    expect(JSON.stringify(classificationInput(planned, RUN_ID))).not.toMatch(/supabase|qdrant/);
    const { supabase_url, supabase_key, qdrant_url } = classificationInput(planned, RUN_ID, credentials);
    expect([supabase_url, supabase_key, qdrant_url]).toEqual([
      credentials.supabase_url,
      credentials.supabase_service_key,
      undefined,
    ]);
  });
});

describe('a classification request', () => {
  const config = (readJob('cls-data-loading.json') as { config: object }).config;
  const body = {
    name: 'Run 7',
    dataset_id: LABELLED_ID,
    config,
    resume_from: RUN_ID,
    api_url: 'https://api.example.invalid',
  };

  test('is a job whose handler finds every field of it again, and a row that has its name', async () => {
    const request = CLASSIFICATION_REQUEST.parse(body);
    const planned = await planClassification(request, { lookup: everything() });
    const job = parseClassificationInput(classificationInput(planned, RUN_ID));
    expect(job).toMatchObject({
      training_run_id: RUN_ID,
      dataset_id: request.dataset_id,
      config: request.config,
      resume_from: request.resume_from,
      api_url: request.api_url,
      unknownKeys: [],
    });
    expect(job.config).toEqual(parseClassificationInput(readJob('cls-data-loading.json')).config);
    expect(planned).toMatchObject({
      name: 'Run 7',
      classes: 5,
      architecture: { model_type: 'vit', model_size: 'base' },
    });
  });

  test.each<[string, Lookup['labelledDataset'], string]>([
    ['none', () => Promise.resolve(undefined), 'is no dataset'],
    [
      'one of several labels',
      () => Promise.resolve({ name: 'a', task_type: 'multi_label', classes: 9 }),
      'multi_label',
    ],
    [
      'one of one class',
      () => Promise.resolve({ name: 'a', task_type: 'single_label', classes: 1 }),
      '1 active classes',
    ],
  ])('is refused by its dataset: %s', async (_, labelledDataset, message) => {
    const planned = planClassification(CLASSIFICATION_REQUEST.parse(body), {
      lookup: everything({ labelledDataset }),
    });
    expect(await refusal(planned)).toEqual({ dataset_id: expect.stringContaining(message) });
  });

  test('every model has a type that the table takes', () => {
    const types = new Set(['vit', 'convnext', 'efficientnet', 'swin', 'dinov2', 'clip', 'resnet', 'demo']);
    const odd = BACKBONE_NAMES.filter((name) => !types.has(architectureOf(name).model_type));
    expect(odd).toEqual([]);
    expect(architectureOf('dinov2_vits14')).toEqual({ model_type: 'dinov2', model_size: 'small' });
    expect(architectureOf('tf_efficientnetv2_s')).toEqual({ model_type: 'efficientnet', model_size: 'v2_s' });
    expect(architectureOf('resnet50')).toEqual({ model_type: 'resnet', model_size: '50' });
  });
});
