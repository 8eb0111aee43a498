import { setTimeout } from 'node:timers/promises';

import { afterAll, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { cutoutJob, smallSteps, STEP, type CutoutJob } from '../support/cutout-job.ts';
import { addCutouts, imagesIn, jobRow, runJob, startJobCloud, type JobCloud } from '../support/job.ts';
import { testProxy, type TestProxy } from '../support/proxy.ts';

// Here and not in a hook, as concurrent tests begin before hooks do. Jobs wait side by side.
const cloud: JobCloud = await startJobCloud();
const handler = smallSteps(cloud);
const COUNT = 3 * STEP;
/** More than goes through when a job is stopped: what was fetched already. */
const MANY = 10 * STEP;

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

interface Shown {
  status: string;
  total_images?: number;
  processed_images?: number;
}

/** What was written into the job's row, in its order. */
function shownBy(proxy: TestProxy): Shown[] {
  return proxy.requests
    .filter(({ method, path }) => method === 'PATCH' && path.includes('/embedding_jobs'))
    .map(({ body }) => JSON.parse(body) as Shown);
}

/** What the page shows after each of these writes, from what it showed before. */
function expectNeverLess(writes: readonly Shown[]): void {
  let [total, processed] = [0, 0];
  for (const write of writes) {
    expect(write.total_images ?? total).toBeGreaterThanOrEqual(total);
    expect(write.processed_images ?? processed).toBeGreaterThanOrEqual(processed);
    expect(write.processed_images ?? processed).toBeLessThanOrEqual(write.total_images ?? total);
    total = write.total_images ?? total;
    processed = write.processed_images ?? processed;
  }
}

const pointWrite = ({ method, path }: TestProxy['requests'][number]): boolean =>
  method === 'PUT' && path.includes('/points');
const listing = ({ method, path }: TestProxy['requests'][number]): boolean =>
  method === 'GET' && path.includes('/cutout_images');

/** Stops the job when its second write is on its way. The write is answered a little later. */
async function stoppedMidway(job: CutoutJob, filters: object, supabaseUrl: string): Promise<void> {
  await using qdrant = await testProxy(cloud.qdrant.url);
  const stop = new AbortController();
  let writes = 0;
  qdrant.intercept = async (request) => {
    if (!pointWrite(request)) return undefined;
    writes += 1;
    if (writes < 2) return undefined;
    stop.abort(new StoppedError('shutdown', 'SIGTERM'));
    await setTimeout(200);
    return undefined;
  };
  const input = { ...job.input({}, { ...filters }), qdrant_url: qdrant.url, supabase_url: supabaseUrl };
  await expect(runJob(cloud, input, { handler, signal: stop.signal })).rejects.toMatchObject({
    code: 'shutdown',
  });
  expect(writes).toBeGreaterThanOrEqual(2);
}

test.concurrent.each([
  ['of cutouts without embedding', { has_embedding: false }, (done: number) => MANY - done],
  ['of all cutouts', {}, () => MANY],
])(
  'a job %s that the platform stopped shows no less when it runs again, and all of it in the end',
  async (_, filters, left) => {
    const job = await cutoutJob(cloud, MANY);
    await using supabase = await testProxy(cloud.supabase.url);
    await stoppedMidway(job, filters, supabase.url);
    // The write that was under way, and what was behind it, is known: counted and marked.
    const stored = await imagesIn(cloud, job.collection);
    const done = stored.length;
    expect(done).toBeGreaterThanOrEqual(2 * STEP);
    expect(done).toBeLessThan(MANY);
    expect(stored).toEqual(job.ids.slice(0, done));
    const halfway = { status: 'running', total_images: MANY, processed_images: done };
    expect(await jobRow(cloud, job.jobId)).toMatchObject(halfway);
    expect(await job.marked()).toEqual(stored);

    const again = { ...job.input({}, { ...filters }), supabase_url: supabase.url };
    const { output } = await runJob(cloud, again, { handler });
    expect(output).toMatchObject({
      status: 'success',
      processed_count: left(done),
      total_images: left(done),
    });
    const shown = shownBy(supabase);
    expect(shown.map(({ status }) => status)).toContain('completed');
    expectNeverLess(shown);
    expect(await jobRow(cloud, job.jobId)).toMatchObject({
      status: 'completed',
      total_images: MANY,
      processed_images: MANY,
      error_message: null,
    });
    expect(await job.marked()).toEqual(job.ids);
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
  },
);

test.concurrent(
  "a job that begins anew shows its own numbers, after the API's until it has counted",
  async () => {
    const job = await cutoutJob(cloud, COUNT);
    await using supabase = await testProxy(cloud.supabase.url);
    const totals: unknown[] = [];
    supabase.intercept = async (request) => {
      if (listing(request)) totals.push((await jobRow(cloud, job.jobId)).total_images);
      return undefined;
    };
    const row = { total_images: 500, processed_images: 400 };
    await runJob(cloud, { ...job.input(), supabase_url: supabase.url }, { handler, row });
    expect(totals[0]).toBe(500);
    expect(await jobRow(cloud, job.jobId)).toMatchObject({
      status: 'completed',
      total_images: COUNT,
      processed_images: COUNT,
    });
  },
);

test.concurrent.each([
  [
    'deleted',
    COUNT - 5,
    (job: CutoutJob) =>
      cloud.supabase.sql('delete from cutout_images where merchant = $1 and external_id >= $2', [
        job.jobId,
        (job.numbers[0] ?? 0) + COUNT - 5,
      ]),
  ],
  [
    'added',
    COUNT + 2,
    (job: CutoutJob) => {
      const next = (job.numbers.at(-1) ?? 0) + 1;
      return addCutouts(
        cloud,
        [next, next + 1],
        () => 1,
        () => ({ merchant: job.jobId }),
      );
    },
  ],
])('rows that are %s after they were counted: the end shows what was met', async (_, met, change) => {
  const job = await cutoutJob(cloud, COUNT);
  await using supabase = await testProxy(cloud.supabase.url);
  let pages = 0;
  supabase.intercept = async (request) => {
    // The counting pass reads a page and the empty one behind it.
    if (listing(request) && ++pages === 3) await change(job);
    return undefined;
  };
  const { output, messages } = await runJob(
    cloud,
    { ...job.input(), supabase_url: supabase.url },
    { handler },
  );
  expect(messages).toContain(`  - ${job.collection}: ${COUNT} images`);
  expect(output).toMatchObject({
    status: 'success',
    processed_count: met,
    failed_count: 0,
    total_images: met,
    collections: { [job.collection]: { total: met, points_written: met } },
    cutouts_marked: met,
  });
  expect(await jobRow(cloud, job.jobId)).toMatchObject({
    status: 'completed',
    total_images: met,
    processed_images: met,
  });
});
