import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';

import { DEMO_DIM } from '../../src/model/small/demo-descriptor.ts';
import { rebuildTarget } from '../../src/qdrant/rebuild/names.ts';
import { startEmbeddingEndpoint, type EmbeddingEndpoint } from '../support/api/embedding-endpoint.ts';
import { API_KEY } from '../support/api/runpod.ts';
import { addRun, rowOf } from '../support/api/runs.ts';
import { jsonLines, runCli, startCli, type Ended } from '../support/cli.ts';
import { addProducts, collectionsIn, imagesIn, productId, range, startJobCloud } from '../support/job.ts';
import type { JobCloud } from '../support/job.ts';
import { fill, rebuildOf } from '../support/rebuild.ts';

const PRODUCTS = 6;

let cloud: JobCloud;
let worker: EmbeddingEndpoint;
let env: Record<string, string>;
let release: (() => void) | undefined;

beforeAll(async () => {
  cloud = await startJobCloud();
  const { supabase, qdrant } = cloud;
  await supabase.sql(`update embedding_models set embedding_dim = ${DEMO_DIM}, is_matching_active = true`);
  await addProducts(cloud, range(0, PRODUCTS));
  const stores = {
    SUPABASE_URL: supabase.url,
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceKey,
    QDRANT_URL: qdrant.url,
    QDRANT_API_KEY: qdrant.apiKey,
  };
  worker = await startEmbeddingEndpoint(stores);
  env = {
    ...stores,
    RUNPOD_API_KEY: API_KEY,
    RUNPOD_ENDPOINT_EMBEDDING: 'embedding',
    RUNPOD_JOBS_URL: worker.url,
  };
}, 120_000);
afterEach(() => {
  release?.();
  release = undefined;
});
afterAll(async () => {
  await worker.kill();
  await cloud[Symbol.asyncDispose]();
});

const extract = (collection: string): string[] => [
  'extract',
  'matching',
  '--source=products',
  `--product_collection=${collection}`,
  '--json',
];
const idIn = ({ stdout }: Pick<Ended, 'stdout'>): string => String(jsonLines(stdout)[0]?.id);

test('a run is submitted, followed to its end, told, listed, and searched', async () => {
  const { code, stdout, stderr } = await runCli([...extract('first'), '--follow'], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = jsonLines(stdout);
  const id = String(lines[0]?.id);
  expect(lines[0]).toEqual({
    id,
    kind: 'embedding',
    runpod_job_id: expect.any(String),
    shards: null,
    collections: ['first'],
  });
  expect(lines.at(-1)).toMatchObject({
    id,
    status: 'completed',
    progress: { done: PRODUCTS, total: PRODUCTS, unit: 'images' },
    // Kept in the row by whoever followed.
    result: { status: 'success', processed_count: PRODUCTS },
  });
  expect((await rowOf(cloud.supabase, id)).result).toMatchObject({ status: 'success' });
  expect(await imagesIn(cloud, 'first')).toHaveLength(PRODUCTS);

  const one = await runCli(['status', id.toUpperCase()], { env });
  expect(one).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/status: +completed\n.*progress: +6\/6/s),
  });
  const list = await runCli(['status', '--json', '--limit', '1', '--status', 'completed'], { env });
  expect(JSON.parse(list.stdout)).toMatchObject([{ id, purpose: 'matching', collections: ['first'] }]);
});

test('a run that is cancelled while it is followed ends both: 3, and the reason', async () => {
  release = cloud.images.hold();
  const following = startCli([...extract('cancelled'), '--follow'], { env });
  await cloud.images.waiting(1);
  const id = idIn({ stdout: await following.said(/\n/) });
  const cancelled = await runCli(['cancel', id, '--json'], { env });
  expect(JSON.parse(cancelled.stdout)).toEqual({
    id,
    kind: 'embedding',
    status: 'cancelled',
    ended_at_runpod: true,
  });
  const { code, stdout } = await following.ended;
  expect(code).toBe(3);
  expect(jsonLines(stdout).at(-1)).toMatchObject({ id, status: 'cancelled' });
  const again = await runCli(['cancel', productId(99)], { env });
  expect(again).toEqual({ code: 1, stdout: '', stderr: `there is no run ${productId(99)}\n` });
});

test('Ctrl+C leaves the run, and says so', async () => {
  release = cloud.images.hold();
  const following = startCli([...extract('left'), '--follow'], { env });
  await cloud.images.waiting(1);
  const id = idIn({ stdout: await following.said(/"status":"running"/) });
  following.process.kill('SIGINT');
  const { code, stderr } = await following.ended;
  expect({ code, stderr }).toEqual({
    code: 130,
    stderr: `Run ${id} goes on; to end it: gpu-handlers cancel ${id}\n`,
  });
  expect((await rowOf(cloud.supabase, id)).status).toBe('running');
  release();
  const { code: later, stdout } = await runCli(['status', id, '--follow'], { env });
  expect({ later, stdout }).toEqual({
    later: 0,
    stdout: expect.stringMatching(/is completed in \d+ s, 6\/6 images\n/),
  });
});

test('images that failed are told, and run again', async () => {
  const path = `/frames/${productId(1)}/frame_0000.png`;
  cloud.images.misbehave(path, { status: 404 });
  const id = idIn(await runCli([...extract('broken'), '--follow'], { env }));
  const failures = await runCli(['status', id, '--failures', '--json'], { env });
  expect(jsonLines(failures.stdout)).toMatchObject([{ code: 'http_404', collection: 'broken' }]);
  cloud.images.recover(path);
  const retried = await runCli(['retry-failed', id, '--follow', '--json'], { env });
  expect(retried.code).toBe(0);
  expect(jsonLines(retried.stdout).at(-1)).toMatchObject({ progress: { done: 1, total: 1 } });
  expect(await imagesIn(cloud, 'broken')).toHaveLength(PRODUCTS);
});

test('a dry run prints the input, and writes nothing', async () => {
  const before = await cloud.supabase.sql('select id from embedding_jobs');
  const { code, stdout } = await runCli([...extract('never'), '--dry-run'], { env });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ purpose: 'matching', model_type: 'demo' });
  expect(await cloud.supabase.sql('select id from embedding_jobs')).toEqual(before);
  expect(await collectionsIn(cloud)).not.toContain('never');
});

test('a run goes on in this process, without RunPod', async () => {
  const { RUNPOD_API_KEY: _, RUNPOD_ENDPOINT_EMBEDDING: __, ...stores } = env;
  const here = { ...stores, ALLOW_PRIVATE_HOSTS: '1', HF_HUB_OFFLINE: '1', BATCH_SIZE: '4' };
  const { code, stdout, stderr } = await runCli([...extract('here'), '--here', '--shards=2'], { env: here });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  // Divided, its jobs run one after the other, and the run is told as one.
  expect(jsonLines(stdout).at(-1)).toMatchObject({
    status: 'completed',
    progress: { done: PRODUCTS, total: PRODUCTS },
    shards: [{ status: 'completed' }, { status: 'completed' }],
    result: { processed_count: PRODUCTS },
  });
  expect(await imagesIn(cloud, 'here')).toHaveLength(PRODUCTS);

  // What it has made, it can search, by the same model.
  const file = new URL('../fixtures/images/small.png', import.meta.url).pathname;
  const args = ['search', 'here', '--image', file, '--here', '--limit=2', '--json'];
  const found = JSON.parse((await runCli(args, { env: here })).stdout) as { results: { score: number }[] };
  expect(found.results).toHaveLength(2);
});

test('Ctrl+C ends a run that is run here, and its row', async () => {
  release = cloud.images.hold();
  const running = startCli([...extract('interrupted'), '--here'], {
    env: { ...env, ALLOW_PRIVATE_HOSTS: '1', HF_HUB_OFFLINE: '1', BATCH_SIZE: '4' },
  });
  await cloud.images.waiting(1);
  const id = idIn({ stdout: await running.said(/"status":"running"/) });
  running.process.kill('SIGINT');
  expect((await running.ended).code).toBe(130);
  expect((await rowOf(cloud.supabase, id)).status).toBe('cancelled');
});

test('a run that is run here, and whose output nobody reads any more, is cancelled: it is no longer run', async () => {
  release = cloud.images.hold();
  const running = startCli([...extract('unread'), '--here'], {
    env: { ...env, ALLOW_PRIVATE_HOSTS: '1', HF_HUB_OFFLINE: '1', BATCH_SIZE: '4' },
  });
  const id = idIn({ stdout: await running.said(/\n/) });
  running.process.stdout?.destroy();
  const { code, stderr } = await running.ended;
  expect({ code, stderr }).toEqual({ code: 141, stderr: expect.stringContaining('Cancelling the run\n') });
  expect((await rowOf(cloud.supabase, id)).status).toBe('cancelled');
});

test('what a failed run has left half built is told by a dry run, and removed without', async () => {
  const { supabase, qdrant } = cloud;
  const id = await addRun(supabase, 'embedding', { status: 'failed' });
  await fill(qdrant.store, ['swept'], rebuildOf({ id }));
  const collection = rebuildTarget('swept', id).fill;
  const isThere = async (): Promise<boolean> => (await qdrant.store.names()).collections.has(collection);

  const told = await runCli(['sweep', '--dry-run', '--json'], { env });
  const swept = JSON.parse(told.stdout) as { removed: unknown[] };
  expect(swept.removed).toContainEqual({ collection, name: 'swept', rebuildId: id });
  expect(await isThere()).toBe(true);

  const { code, stdout } = await runCli(['sweep'], { env });
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(`${collection} is removed`) });
  expect(await isThere()).toBe(false);
  expect(await runCli(['sweep'], { env })).toMatchObject({ code: 0, stdout: 'Nothing is left over.\n' });
});
