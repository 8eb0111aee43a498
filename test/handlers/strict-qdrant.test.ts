import { afterAll, expect, test } from '@jest/globals';

import { cutoutJob, smallSteps, STEP, type CutoutJob } from '../support/cutout-job.ts';
import { askQdrant, imagesIn, jobRow, pointsOf, runJob, startJobCloud, type JobRun } from '../support/job.ts';
import { testProxy, type TestProxy } from '../support/proxy.ts';
import { beStrict, type StrictMode } from '../support/strict-qdrant.ts';

const cloud = await startJobCloud();

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

/** As it is in Qdrant's cloud, and a little stricter. */
const STRICT: StrictMode = {
  unindexed_filtering_retrieve: false,
  search_allow_exact: false,
  max_query_limit: 50,
  upsert_max_batchsize: 10,
};
const writes = (qdrant: TestProxy): number[] =>
  qdrant.requests
    .filter(({ method, path }) => method === 'PUT' && path.includes('/points'))
    .map(({ body }) => (JSON.parse(body) as { points: unknown[] }).points.length);

async function runStrictly(
  job: CutoutJob,
  mode: StrictMode,
  source = {},
): Promise<JobRun & { sizes: number[] }> {
  await using qdrant = await testProxy(cloud.qdrant.url);
  beStrict(qdrant, cloud.qdrant, mode);
  const run = await runJob(cloud, {
    ...job.input(source),
    job_id: (await cutoutJob(cloud, 0)).jobId,
    qdrant_url: qdrant.url,
  });
  return { ...run, sizes: writes(qdrant) };
}

test('a strict server gets its points in parts that it takes, and is asked only what it allows', async () => {
  const job = await cutoutJob(cloud, 120);
  const first = await runStrictly(job, STRICT);
  expect(first.output).toMatchObject({
    status: 'success',
    processed_count: 120,
    failed_count: 0,
    warnings: [],
  });
  expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
  expect(await job.marked()).toEqual(job.ids);
  const rows = await cloud.supabase.sql('select vector_count from embedding_collections where name = $1', [
    job.collection,
  ]);
  expect(rows).toEqual([{ vector_count: 120 }]);
  // 120 were refused, and 60, 30, 15: then it is known what is taken.
  expect(first.sizes.filter((size) => size > 10)).toEqual([
    120, 60, 30, 15, 15, 30, 15, 15, 60, 30, 15, 15, 30, 15, 15,
  ]);

  // The collection is there, with what an older worker has written, and without our indexes.
  await askQdrant(cloud, 'DELETE', `/collections/${job.collection}/index/model?wait=true`);
  await askQdrant(cloud, 'DELETE', `/collections/${job.collection}/index/job_id?wait=true`);
  const [old] = (await pointsOf(cloud, job.collection)).values();
  await askQdrant(cloud, 'PUT', `/collections/${job.collection}/points?wait=true`, {
    points: [{ ...old, payload: { source: 'cutout' } }],
  });
  const second = await runStrictly(job, STRICT, { append_only_new: true });
  expect(second.output).toMatchObject({
    status: 'success',
    processed_count: 0,
    unchanged_count: 119,
    skipped: { already_in_collection: 120 },
  });
  expect(second.output.warnings).toEqual([expect.stringContaining('points without a model')]);
});

test('the size that a server takes is remembered', async () => {
  const job = await cutoutJob(cloud, 6 * STEP);
  await using qdrant = await testProxy(cloud.qdrant.url);
  beStrict(qdrant, cloud.qdrant, { upsert_max_batchsize: 2 });
  await runJob(cloud, { ...job.input(), qdrant_url: qdrant.url }, { handler: smallSteps(cloud) });
  expect(writes(qdrant)).toEqual([STEP, ...Array<number>(3 * STEP).fill(2)]);
  expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
});

test('a collection that is full ends the job and blames no image; what it took is counted and marked', async () => {
  const job = await cutoutJob(cloud, 4 * STEP);
  await using qdrant = await testProxy(cloud.qdrant.url);
  beStrict(qdrant, cloud.qdrant, { max_points_count: 2 * STEP });
  const { output, jobId } = await runJob(
    cloud,
    { ...job.input(), qdrant_url: qdrant.url },
    { handler: smallSteps(cloud) },
  );
  expect(output).toMatchObject({
    status: 'error',
    error_code: 'qdrant_full',
    processed_count: 2 * STEP,
    failed_count: 0,
  });
  expect(await jobRow(cloud, jobId)).toMatchObject({ status: 'failed', processed_images: 2 * STEP });
  expect(await job.marked()).toEqual(job.ids.slice(0, 2 * STEP));
});
