import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { EXTRACTION_REQUESTS, planExtraction } from '../../src/api/index.ts';
import { createLookup } from '../../src/api/plan/lookup.ts';
import { sweepLeftovers } from '../../src/api/runs/leftovers.ts';
import { retryFailed } from '../../src/api/runs/retry-failed.ts';
import { submitExtraction } from '../../src/api/runs/submit.ts';
import { DEMO_DIM } from '../../src/model/small/demo-descriptor.ts';
import { rebuildTarget } from '../../src/qdrant/rebuild/names.ts';
import { scriptedRunPod, type ScriptedRunPod } from '../support/api/runpod.ts';
import { rowOf, testRuns, type TestRuns } from '../support/api/runs.ts';
import {
  addProducts,
  imagesIn,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type Row,
} from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

const PRODUCTS = 8;
const framePath = (i: number): string => `/frames/${productId(i)}/frame_0000.png`;

let cloud: JobCloud;
let runpod: ScriptedRunPod;
let runs: TestRuns;
let collection = '';
let used = 0;
beforeAll(async () => {
  cloud = await startJobCloud();
  await cloud.supabase.sql(
    `update embedding_models set embedding_dim = ${DEMO_DIM}, is_matching_active = true`,
  );
  await addProducts(cloud, range(0, PRODUCTS));
}, 60_000);
afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});
beforeEach(async () => {
  runpod = await scriptedRunPod();
  runs = testRuns(cloud.supabase, { embedding: runpod.endpoint });
  collection = `products_${(used += 1)}`;
  seen = 0;
});
afterEach(async () => {
  await runpod[Symbol.asyncDispose]();
  for (const i of range(0, PRODUCTS)) cloud.images.recover(framePath(i));
});

/** Submits a run, and gives its jobs in the order of its shards; nothing has run yet. */
async function submit(body: Row = {}): Promise<{ id: string; jobs: Row[] }> {
  const request = EXTRACTION_REQUESTS.matching.parse({
    source: 'products',
    product_collection: collection,
    shards: 2,
    ...body,
  });
  const lookup = createLookup({ database: cloud.supabase.database, store: cloud.qdrant.store });
  const { id } = await submitExtraction(runs, await planExtraction(request, { lookup }));
  return { id, jobs: submitted() };
}

const indexOf = (job: Row): number => (job.source_config as { shard?: { index: number } }).shard?.index ?? 0;
let seen = 0;
/** Inputs of the jobs that were submitted since the last look, in the order of their shards. */
function submitted(): Row[] {
  const all = runpod.requests.filter(({ path }) => path === 'run').map(({ body }) => body.input as Row);
  const fresh = all.slice(seen);
  seen = all.length;
  return fresh.toSorted((a, b) => indexOf(a) - indexOf(b));
}
const run = (job: Row | undefined, more: Row = {}) => runJob(cloud, { ...job, ...more });
const serving = async (): Promise<string | undefined> => (await cloud.qdrant.store.aliases()).get(collection);
const counted = async (): Promise<unknown> =>
  (
    await cloud.supabase.sql('select vector_count from embedding_collections where name = $1', [collection])
  )[0];

test('what was filled anew serves when the last shard has ended, and not before', async () => {
  const { id, jobs } = await submit();
  await run(jobs[1]);
  expect(await serving()).toBeUndefined();
  expect(await counted()).toBeUndefined();
  await run(jobs[0]);
  expect(await serving()).toBe(rebuildTarget(collection, id).fill);
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS);
  expect(await counted()).toEqual({ vector_count: PRODUCTS });
  expect((await rowOf(cloud.supabase, id)).status).toBe('completed');
  // The queue may hand out again what is done: all is as it was.
  await run(jobs[1]);
  expect(await serving()).toBe(rebuildTarget(collection, id).fill);
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS);
  expect((await rowOf(cloud.supabase, id)).status).toBe('completed');
});

test('a replaced collection serves until its successor is whole', async () => {
  const first = await submit({ shards: null });
  await run(first.jobs[0]);
  const { id, jobs } = await submit({ collection_mode: 'replace' });
  await run(jobs[0]);
  expect(await serving()).toBe(rebuildTarget(collection, first.id).fill);
  await run(jobs[1]);
  expect(await serving()).toBe(rebuildTarget(collection, id).fill);
});

test('shards that fail together leave nothing serving, and run again they end it', async () => {
  for (const i of [0, 1, 2]) cloud.images.misbehave(framePath(i), { status: 404 });
  const { id, jobs } = await submit({ max_failed_share: 0.01 });
  // A part says nothing of the whole: that three of its four images are broken is judged in the end.
  await run(jobs[0]);
  const { output } = await run(jobs[1]);
  expect(output).toMatchObject({ status: 'error', error_code: 'too_many_failed' });
  expect(await serving()).toBeUndefined();
  expect(await rowOf(cloud.supabase, id)).toMatchObject({
    status: 'failed',
    error_message: expect.stringContaining('shard 1: 3 of the 8 images'),
  });

  for (const i of [0, 1, 2]) cloud.images.recover(framePath(i));
  const fetched = cloud.images.count;
  expect(await retryFailed(runs, id)).toMatchObject({ id, shards: { count: 2, submitted: 2 } });
  await Promise.all(submitted().map((job) => run(job)));
  expect(cloud.images.count - fetched).toBe(3);
  expect(await serving()).toBe(rebuildTarget(collection, id).fill);
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS);
  expect(await rowOf(cloud.supabase, id)).toMatchObject({ status: 'completed', error_message: null });
});

test('where what failed shards had filled was removed, a retry of their run fills it again', async () => {
  cloud.images.misbehave(framePath(7), { status: 404 });
  const { id, jobs } = await submit({ max_failed_share: 0 });
  for (const job of jobs) await run(job);
  expect((await rowOf(cloud.supabase, id)).status).toBe('failed');
  const { database } = cloud.supabase;
  const { removed } = await sweepLeftovers({ database, store: cloud.qdrant.store, settlingMs: 0 });
  expect(removed).toMatchObject([{ rebuildId: id }]);
  cloud.images.recover(framePath(7));
  expect(await retryFailed(runs, id)).toMatchObject({ id, shards: { count: 2, submitted: 2 } });
  await Promise.all(submitted().map((job) => run(job)));
  expect(await serving()).toBe(rebuildTarget(collection, id).fill);
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS);
});

test('a run that was cancelled goes on in another one, with all that was filled', async () => {
  const { id, jobs } = await submit();
  await run(jobs[0]);
  await cloud.supabase.sql(`update embedding_jobs set status = 'cancelled' where id = $1`, [id]);
  const { output } = await run(jobs[1]);
  expect(output).toMatchObject({ status: 'cancelled' });
  const fetched = cloud.images.count;
  const again = await retryFailed(runs, id);
  expect(again.id).not.toBe(id);
  await Promise.all(submitted().map((job) => run(job)));
  expect(cloud.images.count - fetched).toBe(PRODUCTS / 2);
  expect(await serving()).toBe(rebuildTarget(collection, id).fill);
  expect((await rowOf(cloud.supabase, again.id)).status).toBe('completed');
});

test('a count that one shard took before another had written is not the last', async () => {
  const first = await submit({ shards: null, product_source: 'selected', product_ids: [productId(0)] });
  await run(first.jobs[0]);
  const [early, late] = (await submit({ collection_mode: 'append' })).jobs;
  await using supabase = await testProxy(cloud.supabase.url);
  const [counting, other] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  supabase.intercept = async ({ method, path }) => {
    if (method === 'GET' || !path.includes('/embedding_collections')) return undefined;
    counting.resolve(undefined);
    return other.promise;
  };
  const held = run(early, { supabase_url: supabase.url });
  await counting.promise;
  await run(late);
  other.resolve(undefined);
  await held;
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS);
  expect(await counted()).toEqual({ vector_count: PRODUCTS });
});
