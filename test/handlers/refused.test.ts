import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createEmbeddingHandler } from '../../handlers/embedding.ts';
import { InputError } from '../../src/base/errors.ts';
import {
  addCutouts,
  addProducts,
  askQdrant,
  collectionsIn,
  jobRow,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type JobRun,
  type Row,
} from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

const PRODUCTS = 3;

let cloud: JobCloud;
/** The length of the demo model's vectors. */
let dim: number;

beforeAll(async () => {
  cloud = await startJobCloud();
  await addProducts(cloud, range(0, PRODUCTS));
  await addCutouts(cloud, range(0, 3), (i) => i);
  const { output } = await runJob(cloud, productsJob('fine'));
  dim = output.embedding_dim ?? 0;
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

function productsJob(collection: string, filters: Row = {}): Row {
  return {
    purpose: 'matching',
    source_config: { type: 'products', product_collection: collection, filters },
  };
}

const makeCollection = (name: string, size: number, distance = 'Cosine'): Promise<unknown> =>
  askQdrant(cloud, 'PUT', `/collections/${name}`, { vectors: { size, distance } });

const putPoints = (name: string, payloads: readonly Row[]): Promise<unknown> =>
  askQdrant(cloud, 'PUT', `/collections/${name}/points?wait=true`, {
    points: payloads.map((payload, i) => ({
      id: i + 1,
      vector: Array.from({ length: dim }, (_, k) => (k === i ? 1 : 0)),
      payload,
    })),
  });

/** What a job that is refused must leave as it is. */
async function traces(): Promise<unknown> {
  const collections = await collectionsIn(cloud);
  const points = await Promise.all(collections.map((name) => pointsOf(cloud, name)));
  return {
    images: cloud.images.count,
    points: collections.map((name, i) => [name, points[i]]),
    rows: await cloud.supabase.sql(
      `select (select count(*)::int from embedding_collections) as collections,
        (select count(*)::int from cutout_images where has_embedding) as marked,
        (select count(*)::int from embedding_job_failures) as failures`,
    ),
  };
}

describe('refused before the first image', () => {
  const otherModel = 'dinov2-base@0123456789abcdef';
  const noDataset = { product_source: 'dataset', product_dataset_id: productId(99) };
  const filtered = (product_filter: Row): Row => ({ product_source: 'filter', product_filter });
  const REFUSALS: readonly (readonly [name: string, input: Row, code: string, words: RegExp])[] = [
    [
      'a collection of another size',
      productsJob('size'),
      'qdrant_dimension_mismatch',
      /vectors of 7 numbers/,
    ],
    ['a collection of another distance', productsJob('distance'), 'qdrant_distance_mismatch', /Euclid/],
    [
      'the second of two collections, and the first is not even made',
      { source_config: { type: 'both', product_collection: 'first', cutout_collection: 'size' } },
      'qdrant_dimension_mismatch',
      /"size"/,
    ],
    [
      'a model whose vectors are of another length than the job expects',
      { ...productsJob('length'), embedding_dim: 768 },
      'wrong_embedding_dim',
      /embedding_dim is 768, but demo gives vectors of \d+/,
    ],
    [
      "another model's vectors in the collection",
      productsJob('mixed'),
      'mixed_models',
      /holds vectors of another model \(dinov2-base@0123456789abcdef\).*allow_mixed_models/,
    ],
    [
      'a model that is not on this machine',
      { ...productsJob('no_model'), model_type: 'dinov2-base' },
      'model_missing',
      /dinov2-base.*MODEL_DIR/s,
    ],
    [
      'a dataset that does not exist',
      productsJob('no_dataset', noDataset),
      'invalid_input',
      /product_dataset_id.*no dataset/,
    ],
    [
      'a filter on a column that does not exist',
      productsJob('no_column', filtered({ colour: 'red' })),
      'invalid_input',
      /product_filter\.colour/,
    ],
    [
      'a filter with a value that the column does not take',
      productsJob('no_value', filtered({ frame_count_gt: 'many' })),
      'invalid_input',
      /product_filter\.frame_count/,
    ],
    [
      'a job whose Qdrant key is wrong',
      { ...productsJob('no_key'), qdrant_api_key: 'another-key' },
      'qdrant_unauthorized',
      /key/,
    ],
  ];
  const runs = new Map<string, JobRun>();
  let before: unknown;

  beforeAll(async () => {
    await makeCollection('size', 7);
    await makeCollection('distance', dim, 'Euclid');
    await makeCollection('mixed', dim);
    await putPoints('mixed', [{ source: 'product', model: otherModel }]);
    before = await traces();
    // Side by side: at its end each waits for the API's last word.
    await Promise.all(REFUSALS.map(async ([name, input]) => runs.set(name, await runJob(cloud, input))));
  }, 60_000);

  test.each(REFUSALS)('%s', async (name, _, code, words) => {
    const run = runs.get(name);
    expect(run?.output).toMatchObject({
      status: 'error',
      error_code: code,
      error: expect.stringMatching(words),
      processed_count: 0,
      failed_count: 0,
    });
    expect(run?.output.error).not.toContain('another-key');
    expect(await jobRow(cloud, run?.jobId ?? '')).toMatchObject({
      status: 'failed',
      error_message: run?.output.error,
      processed_images: 0,
      total_images: 0,
    });
  });

  test('leaves nothing behind but the row that says why', async () => {
    expect(await traces()).toEqual(before);
  });

  test("another model's vectors are let in where the job says so", async () => {
    const { output } = await runJob(cloud, { ...productsJob('mixed'), allow_mixed_models: true });
    expect(output).toMatchObject({ status: 'success', processed_count: PRODUCTS });
    expect(output.warnings).toEqual([expect.stringContaining(otherModel)]);
    const models = [...(await pointsOf(cloud, 'mixed')).values()].map(({ payload }) => payload.model);
    expect(new Set(models)).toEqual(new Set([otherModel, output.model]));
  });
});

test('points without a fingerprint are a warning, and the job goes on', async () => {
  await makeCollection('old_worker', dim);
  await putPoints('old_worker', [{ source: 'product' }, { source: 'product', model: null }]);
  const { output, lines } = await runJob(cloud, productsJob('old_worker'));
  expect(output).toMatchObject({ status: 'success', processed_count: PRODUCTS });
  expect(output.warnings).toEqual([
    expect.stringMatching(/^collection old_worker holds points without a model/),
  ]);
  expect(lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual(
    output.warnings,
  );
});

describe('bad input', () => {
  const good = { job_id: productId(1), ...productsJob('bad_input') };
  test.each<[string, Row, string]>([
    ['a torch checkpoint', { checkpoint_url: 'https://models.example.invalid/best.pt' }, 'checkpoint_url'],
    ['an unknown model', { model_type: 'resnet50' }, 'model_type'],
    ['a job id that is none', { job_id: 'seven' }, 'job_id'],
    ['half a pair of address and key', { qdrant_url: null }, 'qdrant_url'],
    [
      'no ids where products are selected',
      productsJob('bad_input', { product_source: 'selected' }),
      'source_config.filters.product_ids',
    ],
    ['no collection', { source_config: { type: 'products' } }, 'source_config.product_collection'],
    ['an unknown purpose', { purpose: 'fun' }, 'purpose'],
    ['nothing to embed', { source_config: null }, 'source_config'],
    [
      'a frame count below one',
      { source_config: { type: 'products', product_collection: 'x', max_frames: 0 } },
      'source_config.max_frames',
    ],
  ])('%s is named by its key, and nothing at all is asked or written', async (_, change, key) => {
    await using supabase = await testProxy(cloud.supabase.url);
    await using qdrant = await testProxy(cloud.qdrant.url);
    const images = cloud.images.count;
    const input = { ...good, supabase_url: supabase.url, qdrant_url: qdrant.url, ...change };
    const error: unknown = await runJob(cloud, input, { row: null }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).issues.map((issue) => issue.key)).toEqual([key]);
    expect([...supabase.requests, ...qdrant.requests]).toEqual([]);
    expect(cloud.images.count).toBe(images);
  });

  test('names every fault at once', async () => {
    const faulty = { ...good, purpose: 'fun', batch_size: '16', model_type: 5 };
    await expect(runJob(cloud, faulty, { row: null })).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringMatching(/^(?=.*purpose)(?=.*batch_size)(?=.*model_type)/),
    });
  });

  test('an address of the input never meets a key of the environment', async () => {
    await using supabase = await testProxy(cloud.supabase.url);
    const handler = createEmbeddingHandler({
      ...cloud.tools,
      settings: {
        ...cloud.tools.settings,
        SUPABASE_SERVICE_ROLE_KEY: cloud.supabase.serviceKey,
        SUPABASE_URL: cloud.supabase.url,
      },
    });
    const input = { ...good, supabase_url: supabase.url, supabase_service_key: null };
    await expect(runJob(cloud, input, { row: null, handler })).rejects.toBeInstanceOf(InputError);
    expect(supabase.requests).toEqual([]);
  });
});
