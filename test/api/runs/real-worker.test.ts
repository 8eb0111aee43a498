import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';

import { EXTRACTION_REQUESTS, planExtraction } from '../../../src/api/index.ts';
import { createLookup } from '../../../src/api/plan/lookup.ts';
import { connectEndpoint, type Endpoint } from '../../../src/api/runpod/endpoint.ts';
import { cancelRun } from '../../../src/api/runs/cancel.ts';
import { reconcile } from '../../../src/api/runs/reconcile.ts';
import { retryFailed } from '../../../src/api/runs/retry-failed.ts';
import type { Runs } from '../../../src/api/runs/runs.ts';
import { submitExtraction, type SubmittedRun } from '../../../src/api/runs/submit.ts';
import { DEMO_DIM } from '../../../src/model/small/demo-descriptor.ts';
import { startEmbeddingEndpoint, type EmbeddingEndpoint } from '../../support/api/embedding-endpoint.ts';
import { API_KEY } from '../../support/api/runpod.ts';
import { rowOf, testRuns } from '../../support/api/runs.ts';
import {
  addProducts,
  collectionsIn,
  imagesIn,
  productId,
  range,
  startJobCloud,
  type JobCloud,
} from '../../support/job.ts';

const PRODUCTS = 6;

let cloud: JobCloud;
let worker: EmbeddingEndpoint;
let endpoint: Endpoint;
let runs: Runs;
let collections = 0;
let release: (() => void) | undefined;

beforeAll(async () => {
  cloud = await startJobCloud();
  await cloud.supabase.sql(
    `update embedding_models set embedding_dim = ${DEMO_DIM}, is_matching_active = true`,
  );
  await addProducts(cloud, range(0, PRODUCTS));
  worker = await startEmbeddingEndpoint(environment());
  endpoint = connectEndpoint({ id: 'embedding', apiKey: API_KEY, jobsUrl: worker.url });
  runs = testRuns(cloud.supabase, { embedding: endpoint });
}, 120_000);
afterEach(() => {
  release?.();
  release = undefined;
});
afterAll(async () => {
  await worker.kill();
  await cloud[Symbol.asyncDispose]();
});

function environment(): Record<string, string> {
  const { supabase, qdrant } = cloud;
  return {
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceKey,
    QDRANT_URL: qdrant.url,
    QDRANT_API_KEY: qdrant.apiKey,
  };
}

async function submit(
  body: Record<string, unknown> = {},
  options: Partial<Runs> = {},
): Promise<SubmittedRun & { collection: string }> {
  collections += 1;
  const collection = `products_${collections}`;
  const request = EXTRACTION_REQUESTS.matching.parse({
    source: 'products',
    product_collection: collection,
    ...body,
  });
  const lookup = createLookup({ database: cloud.supabase.database, store: cloud.qdrant.store });
  const plan = await planExtraction(request, { lookup });
  return { ...(await submitExtraction({ ...runs, ...options }, plan)), collection };
}

/** Waits until RunPod's API says that the job has ended so. */
async function until(jobId: string | null, state: string): Promise<void> {
  if (jobId === null) throw new TypeError('the run has no job');
  for (;;) {
    const job = await endpoint.status(jobId);
    if (job?.status === state) return;
    if (job === undefined || !['IN_QUEUE', 'IN_PROGRESS'].includes(job.status))
      throw new Error(`the job did not end as ${state}: ${JSON.stringify(job)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('a run goes from its request to its points, and its result is kept', async () => {
  const { id, runpod_job_id: job, collection } = await submit();
  await until(job, 'COMPLETED');
  expect(await rowOf(cloud.supabase, id)).toMatchObject({
    status: 'completed',
    runpod_job_id: job,
    total_images: PRODUCTS,
  });
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS);
  expect(await reconcile(runs)).toMatchObject({ looked_at: 0, ended: [], results: 1, failures: [] });
  expect((await rowOf(cloud.supabase, id)).result).toMatchObject({
    status: 'success',
    processed_count: PRODUCTS,
    // What metrics read.
    performance: {
      stages: { embed: { working_seconds: expect.any(Number), held_back_seconds: expect.any(Number) } },
    },
  });
});

test('a run whose images failed runs again with those alone', async () => {
  const broken = [1, 4].map((i) => `/frames/${productId(i)}/frame_0000.png`);
  for (const path of broken) cloud.images.misbehave(path, { status: 404 });
  const { id, runpod_job_id: job, collection } = await submit();
  await until(job, 'COMPLETED');
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS - 2);
  for (const path of broken) cloud.images.recover(path);
  await addProducts(cloud, [50]);
  const fetched = cloud.images.count;

  const again = await retryFailed(runs, id);
  await until(again.runpod_job_id, 'COMPLETED');
  // A product that came meanwhile is no image that failed.
  expect(cloud.images.count - fetched).toBe(2);
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS);
  expect(await rowOf(cloud.supabase, again.id)).toMatchObject({
    status: 'completed',
    total_images: 2,
    processed_images: 2,
    job_type: 'incremental',
  });
  await expect(retryFailed(runs, again.id)).rejects.toMatchObject({ code: 'nothing_to_retry' });
  await cloud.supabase.sql('delete from products where id = $1', [productId(50)]);
});

test('a run of which too much has failed replaces nothing, and goes on with what it lacks', async () => {
  const { runpod_job_id: first, collection } = await submit();
  await until(first, 'COMPLETED');
  const points = await imagesIn(cloud, collection);
  const broken = [1, 4].map((i) => `/frames/${productId(i)}/frame_0000.png`);
  for (const path of broken) cloud.images.misbehave(path, { status: 404 });
  await addProducts(cloud, [50]);
  const replace = { collection_mode: 'replace', product_collection: collection };
  const { id, runpod_job_id: job } = await submit(replace);
  await until(job, 'FAILED');
  expect(await rowOf(cloud.supabase, id)).toMatchObject({
    status: 'failed',
    error_message: expect.stringContaining(`2 of the ${PRODUCTS + 1} images for "${collection}" failed`),
  });
  expect(await imagesIn(cloud, collection)).toEqual(points);
  cloud.images.recover(broken[0] ?? '');
  const fetched = cloud.images.count;

  const again = await retryFailed(runs, id, { maxFailedShare: 0.1 });
  await until(again.runpod_job_id, 'COMPLETED');
  expect(cloud.images.count - fetched).toBe(2);
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS);
  const ours = (await collectionsIn(cloud)).filter((name) => name.startsWith(`${collection}__`));
  expect(ours).toEqual([`${collection}__rebuild_${id.replaceAll('-', '')}`]);
  // It serves: now a retry is for what has failed.
  await expect(retryFailed(runs, again.id, { maxFailedShare: 0.1 })).rejects.toMatchObject({
    code: 'invalid_input',
  });
  cloud.images.recover(broken[1] ?? '');
  const last = await retryFailed(runs, again.id);
  await until(last.runpod_job_id, 'COMPLETED');
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS + 1);
  await cloud.supabase.sql('delete from products where id = $1', [productId(50)]);
});

test('a run that is cancelled ends at its worker, and what waited behind it is run', async () => {
  release = cloud.images.hold();
  const { id, runpod_job_id: job } = await submit();
  await cloud.images.waiting(1);
  expect(await cancelRun(runs, id)).toMatchObject({ status: 'cancelled', ended_at_runpod: true });
  await until(job, 'CANCELLED');
  release();
  const next = await submit();
  await until(next.runpod_job_id, 'COMPLETED');
  expect((await rowOf(cloud.supabase, id)).status).toBe('cancelled');
});

test('a run that was purged from the queue is cancelled', async () => {
  release = cloud.images.hold();
  const first = await submit();
  await cloud.images.waiting(1);
  const waits = await submit();
  await fetch(`${worker.url}/v2/embedding/purge-queue`, { method: 'POST' });
  expect(await reconcile(runs)).toMatchObject({ ended: [{ id: waits.id, status: 'cancelled' }] });
  release();
  await until(first.runpod_job_id, 'COMPLETED');
  expect((await rowOf(cloud.supabase, first.id)).status).toBe('completed');
});

test('a run that takes too long has failed', async () => {
  release = cloud.images.hold();
  const { id, runpod_job_id: job } = await submit({}, { policy: { executionTimeout: 1_500, ttl: 600_000 } });
  await until(job, 'TIMED_OUT');
  await reconcile(runs);
  expect(await rowOf(cloud.supabase, id)).toMatchObject({
    status: 'failed',
    error_message: expect.stringMatching(/longer than/),
  });
});

test('a run whose worker was killed has failed, and what it wrote stays', async () => {
  release = cloud.images.hold();
  const { id, collection } = await submit();
  await cloud.images.waiting(1);
  expect((await rowOf(cloud.supabase, id)).status).toBe('running');
  await worker.kill();
  // Whoever does not answer has told nothing.
  const short = connectEndpoint({
    id: 'embedding',
    apiKey: API_KEY,
    jobsUrl: worker.url,
    patienceMs: 0,
    timeoutMs: 500,
  });
  const { ended, failures } = await reconcile(testRuns(cloud.supabase, { embedding: short }), {
    settlingMs: 0,
  });
  expect({ ended, failures }).toEqual({
    ended: [],
    failures: [{ kind: 'embedding', reason: expect.stringContaining('ECONN') }],
  });
  expect((await rowOf(cloud.supabase, id)).status).toBe('running');

  release();
  worker = await startEmbeddingEndpoint(environment(), worker.port);
  expect(await reconcile(runs)).toMatchObject({ looked_at: 1, ended: [] });
  expect(await reconcile(runs, { settlingMs: 0 })).toMatchObject({ ended: [{ id, status: 'failed' }] });
  expect(await rowOf(cloud.supabase, id)).toMatchObject({
    status: 'failed',
    error_message: expect.stringContaining('submit it again'),
  });

  // Its rebuild goes on: nothing serves yet.
  expect(await collectionsIn(cloud)).not.toContain(collection);
  const again = await retryFailed(runs, id);
  expect(again.collections).toEqual([collection]);
  await until(again.runpod_job_id, 'COMPLETED');
  expect(await imagesIn(cloud, collection)).toHaveLength(PRODUCTS);
});
