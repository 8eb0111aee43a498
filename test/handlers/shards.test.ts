import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { EXTRACTION_REQUESTS, planExtraction } from '../../src/api/index.ts';
import { createLookup } from '../../src/api/plan/lookup.ts';
import { reconcile } from '../../src/api/runs/reconcile.ts';
import { submitExtraction } from '../../src/api/runs/submit.ts';
import { DEMO_DIM } from '../../src/model/small/demo-descriptor.ts';
import { rebuildTarget } from '../../src/qdrant/rebuild/names.ts';
import { startSimulator } from '../../src/worker/simulator/simulator.ts';
import { scriptedRunPod } from '../support/api/runpod.ts';
import { rowOf, testRuns } from '../support/api/runs.ts';
import { startFaultProxy } from '../support/chaos/fault-proxy.ts';
import { startServer } from '../support/chaos/process.ts';
import {
  addCutouts,
  addProducts,
  jobRow,
  MODEL_ID,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type Row,
} from '../support/job.ts';

const SHARDS = 8;
const WORKERS = 4;
const KILLED = 2;
const PRODUCTS = 48;
const CUTOUTS = 64;
/** Pictures are few, and addresses many. */
const PICTURES = 8;

let cloud: JobCloud;
beforeAll(async () => {
  cloud = await startJobCloud();
  const { images, supabase } = cloud;
  await supabase.sql(`update embedding_models set embedding_dim = ${DEMO_DIM}, is_matching_active = true`);
  await addProducts(cloud, range(0, PRODUCTS), (i) => ({
    frames_path: `${images.url}/frames/${productId(i % PICTURES)}`,
    frame_count: 1 + (i % 3),
  }));
  await addCutouts(
    cloud,
    range(0, CUTOUTS),
    (i) => i % PICTURES,
    () => ({}),
  );
  for (const i of [3, 50]) images.misbehave(`/cutouts/${productId(i % PICTURES)}/${i}.jpg`, { status: 404 });
}, 120_000);
afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

/** What a run leaves behind, without the names of its jobs and its collections. */
async function endState(collections: readonly string[]) {
  const points = await Promise.all(
    collections.map(async (name) =>
      [...(await pointsOf(cloud, name)).values()]
        .map(({ id, vector, payload: { job_id: _, ...payload } }) => ({ id, vector, payload }))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    ),
  );
  const { supabase } = cloud;
  const cutouts = await supabase.sql(
    'select id, has_embedding, qdrant_point_id, embedding_model_id from cutout_images order by id',
  );
  const failures = await supabase.sql(
    'select image_id, image_type, url, code, message, retryable from embedding_job_failures order by image_id',
  );
  const counts = await Promise.all(
    collections.map((name) =>
      supabase.sql('select vector_count, collection_type from embedding_collections where name = $1', [name]),
    ),
  );
  return { points, cutouts, failures, counts: counts.flat() };
}

async function forget(): Promise<void> {
  await cloud.supabase.sql(`
    delete from embedding_jobs;
    update cutout_images set has_embedding = false, qdrant_point_id = null, embedding_model_id = null`);
}

test('eight shards on four workers, two of which are killed, end as one job does that is not divided', async () => {
  const { supabase, qdrant } = cloud;
  const request = (prefix: string, more: Row = {}) =>
    EXTRACTION_REQUESTS.matching.parse({
      frame_selection: 'all',
      product_collection: `${prefix}_products`,
      cutout_collection: `${prefix}_cutouts`,
      max_failed_share: 0.1,
      ...more,
    });
  const lookup = createLookup({ database: supabase.database, store: qdrant.store });
  await using runpod = await scriptedRunPod();

  // One job, run here, is what all is compared with.
  const alone = testRuns(supabase, { embedding: runpod.endpoint });
  const whole = await submitExtraction(alone, await planExtraction(request('whole'), { lookup }));
  const input = runpod.requests.at(-1)?.body.input as Row;
  await runJob(cloud, input);
  const reference = await endState(['whole_products', 'whole_cutouts']);
  const { total_images: total } = await jobRow(cloud, whole.id);
  await forget();

  // RunPod's queue has the simulator's workers.
  await using simulator = await startSimulator();
  runpod.answer = ({ path, body }) => {
    if (path !== 'run') return undefined;
    const id = simulator.submit(body.input);
    runpod.jobs.set(id, { id, status: 'IN_QUEUE', input: body.input });
    return { body: { id, status: 'IN_QUEUE' } };
  };
  await using stack = new AsyncDisposableStack();
  const killed: Promise<void>[] = [];
  for (const i of range(0, WORKERS)) {
    const proxy = stack.use(await startFaultProxy(qdrant.url));
    const worker = stack.use(
      startServer({
        ...simulator.env(`w${i}`),
        SUPABASE_URL: supabase.url,
        SUPABASE_SERVICE_ROLE_KEY: supabase.serviceKey,
        QDRANT_URL: proxy.url,
        QDRANT_API_KEY: qdrant.apiKey,
      }),
    );
    let writes = 0;
    proxy.meet = ({ method, path, body }) => {
      if (method !== 'PUT' || !path.endsWith('/points') || (writes += 1) !== 2) return {};
      if (killed.length === KILLED) return {};
      // The first that come to the middle of a shard: the queue hands the job out again when the worker is gone.
      worker.kill('SIGKILL');
      const { points } = JSON.parse(body) as { points: { payload: { job_id: string } }[] };
      const again = async (): Promise<void> => {
        await worker.ended;
        await proxy.idle();
        const { runpod_job_id: id } = await jobRow(cloud, points[0]?.payload.job_id ?? '');
        simulator.submit(runpod.jobs.get(String(id))?.input, { id });
      };
      killed.push(again());
      return {};
    };
  }

  const runs = testRuns(supabase, { embedding: runpod.endpoint });
  const plan = await planExtraction(request('parts', { shards: SHARDS }), { lookup });
  const { id, shards } = await submitExtraction(runs, plan);
  expect(shards).toEqual({ count: SHARDS, submitted: SHARDS });
  await simulator.waitFor(() => simulator.results.size === SHARDS, {
    what: 'the results of all shards',
    timeoutMs: 150_000,
  });
  await Promise.all(killed);
  expect(killed).toHaveLength(KILLED);

  // In the database alone, before anybody has looked after it.
  expect(await rowOf(supabase, id)).toMatchObject({
    status: 'completed',
    total_images: total,
    processed_images: total,
    error_message: null,
  });
  expect(await endState(['parts_products', 'parts_cutouts'])).toEqual(reference);
  // What was filled anew serves, and the last shard has seen to it.
  const aliases = await qdrant.store.aliases();
  expect(['parts_products', 'parts_cutouts'].map((name) => aliases.get(name))).toEqual(
    ['parts_products', 'parts_cutouts'].map((name) => rebuildTarget(name, id).fill),
  );
  const [model] = await supabase.sql('select qdrant_vector_count from embedding_models where id = $1', [
    MODEL_ID,
  ]);
  const points = reference.points.reduce((sum, { length }) => sum + length, 0);
  expect(model).toEqual({ qdrant_vector_count: 2 * points });

  // Each image by one shard; what killed workers had done was not done again.
  const outputs = [...simulator.results.values()].map(([result]) => result?.output as Record<string, number>);
  const sum = (key: string): number => outputs.reduce((n, output) => n + (output[key] ?? 0), 0);
  expect(sum('total_images')).toBe(total);
  expect(outputs.filter(({ resumed_count: resumed = 0 }) => resumed > 0)).toHaveLength(KILLED);
  expect(simulator.violations).toEqual([]);

  for (const [job, [result]] of simulator.results)
    runpod.jobs.set(job, { id: job, status: 'COMPLETED', output: result?.output });
  expect(await reconcile(runs)).toMatchObject({ ended: [], results: SHARDS + 1 });
  expect((await rowOf(supabase, id)).result).toMatchObject({
    status: 'success',
    total_images: total,
    failed_count: 2,
    shards: SHARDS,
  });
}, 240_000);
