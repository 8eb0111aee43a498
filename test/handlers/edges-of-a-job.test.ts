import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import {
  addCutouts,
  addProducts,
  cutoutId,
  imagesIn,
  insertRows,
  jobRow,
  pointsOf,
  productId,
  runJob,
  startJobCloud,
  type JobCloud,
} from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

let cloud: JobCloud;

beforeAll(async () => {
  cloud = await startJobCloud();
  await addProducts(cloud, [1, 2, 3, 4, 5, 6, 7, 8]);
  await addCutouts(cloud, [1, 2, 3, 4, 5, 6], (i) => i);
}, 60_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const products = (collection: string): Record<string, unknown> => ({
  collection_name: collection,
  purpose: 'matching',
  source_config: { type: 'products', frame_selection: 'all' },
});
const cutouts = (collection: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  collection_name: collection,
  source_config: { type: 'cutouts', filters: { has_embedding: false }, ...more },
});
const markedRows = async (): Promise<number> => {
  const rows = await cloud.supabase.sql('select id from cutout_images where has_embedding');
  return rows.length;
};

test('a store that blinks in the middle of a job loses nothing', async () => {
  await using qdrant = await testProxy(cloud.qdrant.url);
  let refused = 0;
  qdrant.intercept = ({ method, path }) =>
    Promise.resolve(
      method === 'PUT' && path.includes('/points') && refused < 6 ? (refused++, 503) : undefined,
    );
  const { output } = await runJob(cloud, { ...products('blinks'), qdrant_url: qdrant.url });
  expect(refused).toBe(6);
  expect(output).toMatchObject({ status: 'success', processed_count: 24, failed_count: 0 });
  expect(await pointsOf(cloud, 'blinks')).toHaveProperty('size', 24);
}, 60_000);

test('a store that refuses everything ends the job at once, though a download never ends, and blames no image', async () => {
  await using qdrant = await testProxy(cloud.qdrant.url);
  const release = cloud.images.hold();
  qdrant.intercept = ({ method, path }) =>
    Promise.resolve(method === 'PUT' && path.includes('/points') ? 401 : undefined);
  const held = Array.from({ length: 6 }, (_, i) => ({
    id: `held-${i}`,
    type: 'product',
    url: `${cloud.images.url}/frames/${productId(1)}/frame_000${i}.png`,
  }));
  const quick = Array.from({ length: 140 }, (_, i) => ({
    id: `quick-${i}`,
    type: 'product',
    url: DOT.replace(';', `;n=${i};`),
  }));
  const { output } = await runJob(cloud, {
    collection_name: 'refuses',
    images: [...quick, ...held],
    qdrant_url: qdrant.url,
  });
  release();
  expect(output).toMatchObject({ status: 'error', error_code: 'qdrant_unauthorized', failed_count: 0 });
}, 60_000);

test('cutouts whose rows could not be marked are told of, and marked by the next append without being embedded', async () => {
  await using supabase = await testProxy(cloud.supabase.url);
  supabase.intercept = ({ path }) => Promise.resolve(path.includes('/rpc/mark_cutouts') ? 400 : undefined);
  const first = await runJob(cloud, { ...cutouts('unmarked'), supabase_url: supabase.url });
  expect(first.output).toMatchObject({ status: 'success', processed_count: 6, cutouts_marked: 0 });
  expect(first.output.warnings.join('\n')).toMatch(
    /^6 cutouts have their point but their rows could not be marked/m,
  );
  expect(await markedRows()).toBe(0);

  const second = await runJob(cloud, cutouts('unmarked', { append_only_new: true }));
  expect(second.output).toMatchObject({ status: 'success', processed_count: 0, cutouts_marked: 6 });
  expect(await markedRows()).toBe(6);
}, 60_000);

test('a job whose vectors are stored is a success, whatever becomes of its last row', async () => {
  await using supabase = await testProxy(cloud.supabase.url);
  supabase.intercept = ({ method, body }) =>
    Promise.resolve(method === 'PATCH' && body.includes('"completed"') ? 400 : undefined);
  const { output, messages, jobId } = await runJob(cloud, {
    ...products('no_row'),
    supabase_url: supabase.url,
  });
  expect(output).toMatchObject({ status: 'success', processed_count: 24 });
  expect(output.error).toBeUndefined();
  expect(output.warnings.join('\n')).toMatch(/row could not be written as completed/);
  expect(messages.filter((message) => message.includes('] Complete:'))).toHaveLength(1);
  expect((await jobRow(cloud, jobId)).status).toBe('running');
}, 60_000);

test('a job that runs again never shows less than before, though fewer images are left', async () => {
  await cloud.supabase.sql('update cutout_images set has_embedding = false');
  await cloud.supabase.sql(`update cutout_images set has_embedding = true where id <> '${cutoutId(6)}'`);
  await using supabase = await testProxy(cloud.supabase.url);
  const shown: { total_images: number; processed_images: number }[] = [];
  supabase.intercept = ({ method, path, body }) => {
    const row =
      method === 'PATCH' && path.includes('embedding_jobs')
        ? (JSON.parse(body) as Record<string, number>)
        : {};
    const { total_images, processed_images } = row;
    if (total_images !== undefined && processed_images !== undefined)
      shown.push({ total_images, processed_images });
    return Promise.resolve(undefined);
  };
  const row = { status: 'running', total_images: 6, processed_images: 5, started_at: '2026-01-01T00:00:00Z' };
  const { output, jobId } = await runJob(cloud, { ...cutouts('again'), supabase_url: supabase.url }, { row });
  expect(output).toMatchObject({ status: 'success', processed_count: 1, total_images: 1 });
  for (const { total_images, processed_images } of shown) {
    expect(total_images).toBe(6);
    expect(processed_images).toBeGreaterThanOrEqual(5);
  }
  expect(await jobRow(cloud, jobId)).toMatchObject({
    status: 'completed',
    total_images: 6,
    processed_images: 6,
  });
}, 60_000);

test("the API's total stands until the images are counted", async () => {
  const row = { total_images: 500 };
  const { output, jobId } = await runJob(cloud, { ...products('counted'), embedding_dim: 7 }, { row });
  expect(output.error_code).toBe('wrong_embedding_dim');
  expect(await jobRow(cloud, jobId)).toMatchObject({ status: 'failed', total_images: 500 });
}, 60_000);

test('a shutdown is told as such, though the rows cannot be reached any more', async () => {
  await using supabase = await testProxy(cloud.supabase.url);
  const release = cloud.images.hold();
  const stop = new AbortController();
  const running = runJob(cloud, { ...products('shut'), supabase_url: supabase.url }, { signal: stop.signal });
  const outcome = running.catch((error: unknown) => error);
  await cloud.images.waiting(1);
  supabase.intercept = () => Promise.resolve(503);
  stop.abort(new StoppedError('shutdown', 'stopped by SIGTERM'));
  expect(await outcome).toMatchObject({ code: 'shutdown' });
  release();
}, 60_000);

test('two rows of one frame index are both kept, though the later one sorts first and only new ones are asked for', async () => {
  const image = (id: string, file: string): Record<string, unknown> => ({
    id,
    product_id: productId(8),
    image_path: file,
    image_url: `${cloud.images.url}/many/${file}`,
    image_type: 'real',
    source: 'matching',
    frame_index: 3,
  });
  const job = {
    collection_name: 'tied',
    source_config: {
      type: 'products',
      filters: { product_source: 'selected', product_ids: [productId(8)], image_types: ['real'] },
      frame_selection: 'all',
      append_only_new: true,
    },
  };
  await insertRows(cloud, 'product_images', [image('f0000000-0000-4000-8000-000000000001', '1.png')]);
  await runJob(cloud, job);
  await insertRows(cloud, 'product_images', [image('a0000000-0000-4000-8000-000000000001', '2.png')]);
  await runJob(cloud, job);
  const urls = new Set(
    [...(await pointsOf(cloud, 'tied')).values()].map(({ payload }) => String(payload.url)),
  );
  expect([...urls].map((url) => url.split('/').at(-1)).toSorted()).toEqual(['1.png', '2.png']);
}, 60_000);

test('rows of collections are written for those that hold anything, by what the job says they are for', async () => {
  await addCutouts(
    cloud,
    [90],
    () => 1,
    () => ({ image_url: `${cloud.images.url}/nowhere/90.jpg` }),
  );
  const { output } = await runJob(cloud, {
    purpose: 'matching',
    source_config: {
      type: 'both',
      filters: { product_source: 'selected', product_ids: [productId(1)], has_embedding: false },
      product_collection: 'held_products',
      cutout_collection: 'held_cutouts',
    },
  });
  expect(output).toMatchObject({ status: 'success', failed_count: 1 });
  const rows = await cloud.supabase.sql("select name from embedding_collections where name like 'held_%'");
  expect(rows).toEqual([{ name: 'held_products' }]);
}, 60_000);

test('what opens an address stands in no failure', async () => {
  const { host } = new URL(cloud.images.url);
  const url = `http://user:pa55word@${host}/gone/1.png?token=s3cret-part`;
  const { output, lines, jobId } = await runJob(cloud, {
    collection_name: 'opened',
    images: [
      { id: 'bad', type: 'product', url },
      { id: 'good', type: 'product', url: DOT },
    ],
  });
  expect(output.failed_count).toBe(1);
  const rows = await cloud.supabase.sql('select * from embedding_job_failures where job_id = $1', [jobId]);
  expect(rows).toHaveLength(1);
  expect(JSON.stringify([output, lines, rows])).not.toMatch(/pa55word|s3cret-part/);
}, 60_000);

test('one broken file does not make an append fail that has nothing else to do', async () => {
  expect(await imagesIn(cloud, 'blinks')).toHaveLength(24);
  await addProducts(cloud, [50], () => ({ frame_count: 1 }));
  const file = `/frames/${productId(50)}/frame_0000.png`;
  cloud.images.misbehave(file, { status: 404 });
  const input = products('blinks');
  const { output } = await runJob(cloud, {
    ...input,
    source_config: { ...(input.source_config as object), append_only_new: true },
  });
  expect(output).toMatchObject({ status: 'success', processed_count: 0, failed_count: 1 });
}, 60_000);

/** One grey pixel, carried in its own address. */
const DOT =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNoaGgAAAMEAYFL09IQAAAAAElFTkSuQmCC';
