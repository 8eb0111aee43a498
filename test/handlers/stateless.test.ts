import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createEmbeddingHandler } from '../../handlers/embedding.ts';
import type { StatelessOutput } from '../../src/embedding/stateless.ts';
import {
  pointsOf,
  productId,
  addProducts,
  runJob,
  startJobCloud,
  type JobCloud,
  type Row,
} from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

/** No row, and no keys to any store in the input. */
const STATELESS = {
  job_id: null,
  supabase_url: null,
  supabase_service_key: null,
  qdrant_url: null,
  qdrant_api_key: null,
};

let cloud: JobCloud;

beforeAll(async () => {
  cloud = await startJobCloud();
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const run = async (input: Row, handler = cloud.handler): Promise<StatelessOutput> =>
  (await runJob<StatelessOutput>(cloud, { ...STATELESS, ...input }, { row: null, handler })).output;

const frame = (name: string): string => `${cloud.images.url}/frames/${name}/frame_0000.png`;

test('the recorded payload gives vectors with what came along, and nothing is written anywhere', async () => {
  const text = await readFile(new URL('../fixtures/jobs/stateless.json', import.meta.url), 'utf8');
  const { input } = JSON.parse(text) as { input: { images: Row[] } };
  const images = input.images.map((image, i) => ({ ...image, url: frame(String(i)) }));
  await using supabase = await testProxy(cloud.supabase.url);
  await using qdrant = await testProxy(cloud.qdrant.url);
  const handler = createEmbeddingHandler({
    ...cloud.tools,
    settings: {
      ...cloud.tools.settings,
      SUPABASE_URL: supabase.url,
      SUPABASE_SERVICE_ROLE_KEY: cloud.supabase.serviceKey,
      QDRANT_URL: qdrant.url,
      QDRANT_API_KEY: cloud.qdrant.apiKey,
    },
  });
  const output = await run({ ...input, images, model_type: 'demo' }, handler);
  const dim = output.embedding_dim;
  expect(output).toEqual({
    status: 'success',
    embeddings: [
      {
        id: '3f4202e7-dac0-54ea-be08-137be70f51b7',
        type: 'cutout',
        domain: 'real',
        external_id: 4711,
        vector: expect.any(Array),
      },
      {
        id: '8fd6f6ed-d40b-51bd-baca-fc3eea9d4656_0',
        type: 'product',
        domain: 'synthetic',
        product_id: '8fd6f6ed-d40b-51bd-baca-fc3eea9d4656',
        frame_index: 0,
        vector: expect.any(Array),
      },
    ],
    failed_ids: [],
    processed_count: 2,
    same_url_count: 0,
    failed_count: 0,
    total_images: 2,
    embedding_dim: expect.any(Number),
    model: expect.stringMatching(/^demo@[0-9a-f]{16}$/),
    failed_images: [],
    failed_by_code: {},
    performance: expect.any(Object),
  });
  for (const { vector } of output.embeddings) {
    expect(vector).toHaveLength(dim);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
  }
  expect(output.embeddings[0]?.vector).not.toEqual(output.embeddings[1]?.vector);
  expect([...supabase.requests, ...qdrant.requests]).toEqual([]);
});

test('the order of the images is kept, failures and all, across batches that overtake each other', async () => {
  const names = Array.from({ length: 40 }, (_, i) => `thing ${i}`);
  cloud.images.misbehave('/frames/thing 7/frame_0000.png', { status: 404 });
  cloud.images.misbehave('/frames/thing 23/frame_0000.png', 'truncated');
  const output = await run({
    batch_size: 4,
    images: names.map((name, i) => ({
      id: name,
      url: frame(name),
      type: i % 2 === 0 ? 'product' : 'cutout',
    })),
  });
  const failed = ['thing 7', 'thing 23'];
  expect(output.status).toBe('success');
  expect(output.embeddings.map(({ id }) => id)).toEqual(names.filter((name) => !failed.includes(name)));
  expect(output.failed_ids).toEqual(failed);
  expect(output.failed_by_code).toEqual({ http_404: 1, truncated: 1 });
  expect(output).toMatchObject({ processed_count: 38, failed_count: 2, total_images: 40 });
  // Each has its own picture's vector: alone it gets the same.
  for (const name of ['thing 0', 'thing 22', 'thing 39']) {
    const alone = await run({ images: [{ id: 'x', url: frame(name), type: 'product' }] });
    const among = output.embeddings.find(({ id }) => id === name);
    expect(dot(alone.embeddings[0]?.vector, among?.vector)).toBeGreaterThan(0.99999);
  }
});

test('an id may come twice, and each of the two gets its own', async () => {
  const output = await run({
    images: [
      { id: 'twin', url: frame('a'), type: 'product', side: 'left' },
      { id: 'twin', url: frame('b'), type: 'product', side: 'right' },
    ],
  });
  expect(output.embeddings.map(({ id, side }) => [id, side])).toEqual([
    ['twin', 'left'],
    ['twin', 'right'],
  ]);
  expect(output.embeddings[0]?.vector).not.toEqual(output.embeddings[1]?.vector);
});

test('a caller cannot pass a vector of its own off as ours', async () => {
  const output = await run({
    images: [{ id: 1, url: frame('a'), type: 'cutout', vector: [1], domain: 'studio', metadata: { a: 1 } }],
  });
  expect(output.embeddings[0]).toEqual({
    id: '1',
    type: 'cutout',
    domain: 'studio',
    vector: expect.any(Array),
  });
  expect(output.embeddings[0]?.vector).toHaveLength(output.embedding_dim);
});

test('data: addresses need no network', async () => {
  const picture = await cloud.images.picture('/many/1.png');
  const before = cloud.images.count;
  const output = await run({
    images: [{ id: 'inline', url: `data:image/png;base64,${picture.toString('base64')}`, type: 'product' }],
  });
  expect(output).toMatchObject({ status: 'success', processed_count: 1 });
  expect(cloud.images.count).toBe(before);
});

test('a stored picture is read with the keys that came along, and fails by name without any', async () => {
  const body = await cloud.images.picture('/many/2.png');
  await cloud.supabase.database.upload({ bucket: 'frames', path: 'a/b.png', body, contentType: 'image/png' });
  const images = [{ id: 'stored', url: 'a/b.png', type: 'product' }];
  const { supabase_url, supabase_service_key } = cloud.credentials;
  const output = await run({ images, supabase_url, supabase_service_key });
  expect(output).toMatchObject({ status: 'success', processed_count: 1 });
  const without = await run({ images });
  expect(without).toMatchObject({
    status: 'error',
    error_code: 'all_images_failed',
    failed_ids: ['stored'],
    failed_by_code: { storage_not_found: 1 },
  });
  expect(without.error).toContain('supabase_url');
});

test('the vector of a picture is the one that a job with a row stores', async () => {
  await addProducts(cloud, [1], () => ({ frame_count: 1 }));
  const { output } = await runJob(cloud, {
    source_config: { type: 'products', product_collection: 'stored' },
  });
  const [point] = [...(await pointsOf(cloud, 'stored')).values()];
  const alone = await run({
    images: [{ id: 'x', url: frame(productId(1)), type: 'product' }],
  });
  expect(alone.model).toBe(output.model);
  expect(dot(alone.embeddings[0]?.vector, point?.vector)).toBeGreaterThan(0.99999);
  const picture = await cloud.images.picture(`/frames/${productId(1)}/frame_0000.png`);
  expect(point?.payload.content).toBe(createHash('sha256').update(picture).digest('hex'));
});

test('a caller who stops the job is told so, with what is done', async () => {
  const release = cloud.images.hold();
  const stop = new AbortController();
  const stopped = runJob(
    cloud,
    { ...STATELESS, images: [{ id: 'held', url: frame('held'), type: 'product' }] },
    { row: null, signal: stop.signal },
  );
  await cloud.images.waiting(1);
  stop.abort(new Error('enough'));
  expect((await stopped).output).toMatchObject({ status: 'cancelled', embeddings: [], processed_count: 0 });
  release();
});

function dot(a: readonly number[] = [], b: readonly number[] = []): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? Number.NaN), 0);
}
