import { setTimeout } from 'node:timers/promises';

import { afterAll, expect, test } from '@jest/globals';

import { cutoutJob, smallSteps, STEP } from '../support/cutout-job.ts';
import {
  askQdrant,
  imagesIn,
  jobRow,
  pointsOf,
  runJob,
  startJobCloud,
  type JobRun,
  type Row,
} from '../support/job.ts';
import { testProxy, type Instead, type TestProxy } from '../support/proxy.ts';

// Here and not in a hook, as concurrent tests begin before hooks do. Jobs wait side by side.
const cloud = await startJobCloud();
/** Patience of jobs for which a store stays away. */
const IMPATIENT_MS = 300;
/** Of those whose requests are large. */
const LESS_IMPATIENT_MS = 3_000;

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

type Kind = (...[request]: Parameters<TestProxy['intercept']>) => boolean;
const pointWrite: Kind = ({ method, path }) => method === 'PUT' && path.includes('/points');
/** Writes of more points than that. */
const moreThan =
  (most: number): Kind =>
  (request) =>
    pointWrite(request) && (JSON.parse(request.body) as { points: unknown[] }).points.length > most;
const listing: Kind = ({ method, path }) => method === 'GET' && path.includes('/cutout_images');
const marking: Kind = ({ path }) => path.includes('/rpc/mark_cutouts_embedded');
const signing: Kind = ({ path }) => path.includes('/storage/');

/** Of these requests the ones with these numbers, from 0, get the status in place of an answer. */
function refuse(
  proxy: TestProxy,
  kind: Kind,
  instead: Instead,
  { from = 0, to = Infinity } = {},
): () => number {
  let seen = 0;
  proxy.intercept = (request) => {
    if (!kind(request)) return Promise.resolve(undefined);
    seen += 1;
    return Promise.resolve(seen > from && seen <= to ? instead : undefined);
  };
  return () => seen;
}

const failureRows = (jobId: string): Promise<unknown[]> =>
  cloud.supabase.sql('select image_id from embedding_job_failures where job_id = $1', [jobId]);

test.concurrent.each([
  ['Supabase, while the images are listed', 'supabase', listing],
  ['Supabase, while cutouts are marked', 'supabase', marking],
  ['Qdrant, while points are written', 'qdrant', pointWrite],
] as const)(
  '%s, may be away for a few seconds: nothing is lost, and nothing is told of it',
  async (_, store, kind) => {
    const job = await cutoutJob(cloud, 3 * STEP);
    await using proxy = await testProxy(cloud[store].url);
    // The second one, and what tries it again.
    const seen = refuse(proxy, kind, 503, { from: 1, to: 5 });
    const { output } = await runJob(
      cloud,
      { ...job.input(), [`${store}_url`]: proxy.url },
      { handler: smallSteps(cloud) },
    );
    expect(seen()).toBeGreaterThan(5);
    expect(output).toMatchObject({
      status: 'success',
      processed_count: 3 * STEP,
      failed_count: 0,
      cutouts_marked: 3 * STEP,
      warnings: [],
    });
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
    expect(await job.marked()).toEqual(job.ids);
  },
);

const LATER: Instead = { status: 429, error: 'slow down', headers: { 'retry-after': '1' } };
const progress: Kind = ({ method, path }) => method === 'PATCH' && path.includes('/embedding_jobs');
const collectionRow: Kind = ({ method, path }) => method !== 'GET' && path.includes('/embedding_collections');
const failureRow: Kind = ({ method, path }) => method === 'POST' && path.includes('failures');

test.concurrent.each<[string, 'supabase' | 'qdrant', Kind, Instead]>([
  ['points are written: too many requests, try in a second', 'qdrant', pointWrite, LATER],
  ['points are written: the connection ends before they arrive', 'qdrant', pointWrite, 'drop'],
  ['points are written: the connection ends after they were stored', 'qdrant', pointWrite, 'drop_answer'],
  ['points are written: no more than three fit', 'qdrant', moreThan(3), 413],
  ['cutouts are marked: too many requests, try in a second', 'supabase', marking, LATER],
  ['cutouts are marked: a server error', 'supabase', marking, 500],
  ['cutouts are marked: the connection ends before it arrives', 'supabase', marking, 'drop'],
  ['cutouts are marked: the connection ends after they were', 'supabase', marking, 'drop_answer'],
  [
    'the job says that it runs: the connection ends after it was written',
    'supabase',
    progress,
    'drop_answer',
  ],
  ['images are listed: the connection ends', 'supabase', listing, 'drop_answer'],
  ['a collection is described: too many requests', 'supabase', collectionRow, LATER],
  ['a failure is told: the connection ends before it arrives', 'supabase', failureRow, 'drop'],
  ['a failure is told: the connection ends after it was written', 'supabase', failureRow, 'drop_answer'],
])('while %s: it is tried again, and nothing is lost, doubled or told', async (_, store, kind, instead) => {
  const job = await cutoutJob(cloud, 2 * STEP + 1);
  cloud.images.misbehave(job.pathOf(job.numbers.at(-1) ?? 0), { status: 404 });
  await using proxy = await testProxy(cloud[store].url);
  const seen = refuse(proxy, kind, instead, { to: instead === 413 ? Infinity : 1 });
  const { output, jobId } = await runJob(
    cloud,
    { ...job.input(), [`${store}_url`]: proxy.url },
    { handler: smallSteps(cloud) },
  );
  expect(seen()).toBeGreaterThanOrEqual(instead === 413 ? 1 : 2);
  expect(output).toMatchObject({
    status: 'success',
    processed_count: 2 * STEP,
    failed_count: 1,
    failed_by_code: { http_404: 1 },
    cutouts_marked: 2 * STEP,
    warnings: [],
  });
  const good = job.ids.slice(0, 2 * STEP);
  expect(await imagesIn(cloud, job.collection)).toEqual(good);
  expect(await job.marked()).toEqual(good);
  expect(await failureRows(jobId)).toEqual([{ image_id: job.ids.at(-1) }]);
  expect(await jobRow(cloud, jobId)).toMatchObject({ status: 'completed', processed_images: 2 * STEP + 1 });
});

const impatient = smallSteps(cloud, { patienceMs: IMPATIENT_MS });

async function expectFailed({ jobId, output }: JobRun, code: string): Promise<void> {
  expect(output).toMatchObject({ status: 'error', error_code: code, failed_count: 0, failed_images: [] });
  expect(await failureRows(jobId)).toEqual([]);
  const row = await jobRow(cloud, jobId);
  expect(row).toMatchObject({ status: 'failed', processed_images: output.processed_count });
  expect(row.error_message).toBe(output.error);
}

test.concurrent(
  'a store that stays away ends the job and blames no image: Qdrant: what it took before is counted and marked',
  async () => {
    const job = await cutoutJob(cloud, 3 * STEP);
    await using proxy = await testProxy(cloud.qdrant.url);
    refuse(proxy, pointWrite, 503, { from: 1 });
    const run = await runJob(cloud, { ...job.input(), qdrant_url: proxy.url }, { handler: impatient });
    await expectFailed(run, 'qdrant_unavailable');
    const first = job.ids.slice(0, STEP);
    expect(run.output).toMatchObject({ processed_count: STEP, total_images: 3 * STEP, cutouts_marked: STEP });
    expect(await imagesIn(cloud, job.collection)).toEqual(first);
    expect(await job.marked()).toEqual(first);
  },
);

test.concurrent(
  'a store that stays away ends the job and blames no image: Supabase, while the images are listed for the second time',
  async () => {
    const job = await cutoutJob(cloud, STEP);
    await using proxy = await testProxy(cloud.supabase.url);
    // The counting pass reads a page and the empty one behind it.
    refuse(proxy, listing, 503, { from: 2 });
    const run = await runJob(cloud, { ...job.input(), supabase_url: proxy.url }, { handler: impatient });
    await expectFailed(run, 'supabase_unavailable');
    expect(run.output.total_images).toBe(STEP);
  },
);

test.concurrent(
  'a store that stays away ends the job and blames no image: Supabase, while addresses are signed',
  async () => {
    const job = await cutoutJob(cloud, 0);
    await using proxy = await testProxy(cloud.supabase.url);
    refuse(proxy, signing, 503);
    const images = [
      { id: 'stored', url: 'folder/picture.png', type: 'product' },
      { id: 'addressed', url: `${cloud.images.url}/many/1.png`, type: 'product' },
    ];
    const run = await runJob(
      cloud,
      { job_id: job.jobId, collection_name: job.collection, images, supabase_url: proxy.url },
      { handler: impatient },
    );
    await expectFailed(run, 'supabase_unavailable');
  },
);

test.concurrent(
  'rows that refuse to be marked for a while are marked at the end of the same job, and not asked of with every write',
  async () => {
    const job = await cutoutJob(cloud, 4 * STEP);
    await using proxy = await testProxy(cloud.supabase.url);
    const seen = refuse(proxy, marking, 400, { to: 1 });
    const { output } = await runJob(
      cloud,
      { ...job.input(), supabase_url: proxy.url },
      { handler: smallSteps(cloud) },
    );
    expect(output).toMatchObject({ status: 'success', cutouts_marked: 4 * STEP, warnings: [] });
    expect(await job.marked()).toEqual(job.ids);
    expect(seen()).toBe(2);
  },
);

test.concurrent(
  'rows that refuse to be marked take no time from the rows of collections, even where the job is cut short',
  async () => {
    const job = await cutoutJob(cloud, 2 * STEP);
    await using proxy = await testProxy(cloud.supabase.url);
    const { promise: silence, resolve: end } = Promise.withResolvers<undefined>();
    const stop = new AbortController();
    proxy.intercept = (request) => {
      if (!marking(request)) return Promise.resolve(undefined);
      stop.abort();
      return silence;
    };
    const { output } = await runJob(
      cloud,
      { ...job.input(), supabase_url: proxy.url },
      { handler: smallSteps(cloud), signal: stop.signal },
    );
    end(undefined);
    expect(output).toMatchObject({ status: 'cancelled', processed_count: STEP, cutouts_marked: 0 });
    expect(output.warnings).toEqual([
      expect.stringMatching(`^${STEP} cutouts have their point but their rows could not be marked`),
    ]);
    const rows = await cloud.supabase.sql('select vector_count from embedding_collections where name = $1', [
      job.collection,
    ]);
    expect(rows).toEqual([{ vector_count: STEP }]);
  },
);

test.concurrent(
  'a Qdrant that never answers does not keep a job alive that the page has cancelled',
  async () => {
    const job = await cutoutJob(cloud, 2 * STEP);
    await using proxy = await testProxy(cloud.qdrant.url);
    const { promise: silence, resolve: end } = Promise.withResolvers<undefined>();
    proxy.intercept = async (request) => {
      if (!pointWrite(request)) return undefined;
      await cloud.supabase.sql(`update embedding_jobs set status = 'cancelled' where id = $1`, [job.jobId]);
      return silence;
    };
    const { output } = await runJob(
      cloud,
      { ...job.input(), qdrant_url: proxy.url },
      { handler: smallSteps(cloud) },
    );
    // Until here the request was never answered: it was given up.
    end(undefined);
    expect(output).toMatchObject({ status: 'cancelled', processed_count: 0, failed_count: 0 });
    expect((await jobRow(cloud, job.jobId)).status).toBe('cancelled');
  },
);

const PICTURES = 3;
/** Two such points fill a request to Qdrant. On a busy machine each takes its time: no more than it needs. */
const METADATA_CHARS = 3_500_000;
const note = 'x'.repeat(METADATA_CHARS);
const images = Array.from({ length: PICTURES }, (_, i) => ({
  id: `picture ${i}`,
  type: 'product',
  url: `${cloud.images.url}/many/${i}.png`,
  metadata: { note },
}));
/** Requests that write this picture's point. */
const carrying = (id: string): Kind => {
  return (request) => pointWrite(request) && request.body.includes(`"id":"${id}"`);
};

const largeWrite = async (
  proxy: TestProxy,
  patience: { patienceMs?: number } = {},
): Promise<JobRun & { stored: string[] }> => {
  const { jobId, collection } = await cutoutJob(cloud, 0);
  const writeAtOnce = { downloads: 1, decoders: 1, writes: 1, writeSize: PICTURES };
  const input = { job_id: jobId, collection_name: collection, images, qdrant_url: proxy.url };
  const ended = await runJob(cloud, input, {
    handler: smallSteps(cloud, { limits: writeAtOnce, ...patience }),
  });
  const points = [...(await pointsOf(cloud, collection)).values()];
  return { ...ended, stored: points.map(({ payload }) => String(payload.id)).sort() };
};

// One after the other, so that a busy machine does not have all of their megabytes on the way at once.
test.each([
  [503, 'qdrant_unavailable'],
  [401, 'qdrant_unauthorized'],
])(
  'a large write of which one request is not taken because of the store (%d): the job ends with %s, what was acknowledged counts',
  async (status, code) => {
    await using proxy = await testProxy(cloud.qdrant.url);
    // The others are let through first: a fatal answer ends those that are under way.
    proxy.intercept = async (request) => {
      if (!carrying('picture 2')(request)) return undefined;
      const collection = request.path.split('/points')[0] ?? '';
      while (Number(((await askQdrant(cloud, 'POST', `${collection}/points/count`, {})) as Row).count) < 2) {
        await setTimeout(20);
      }
      // Their answers are on the way.
      await setTimeout(300);
      return status;
    };
    const { output, stored } = await largeWrite(proxy, { patienceMs: LESS_IMPATIENT_MS });
    expect(stored).toEqual(['picture 0', 'picture 1']);
    expect(output).toMatchObject({
      status: 'error',
      error_code: code,
      processed_count: 2,
      failed_count: 0,
    });
  },
);

test('a large write of which one request is not taken because of a point: it fails alone, after the others were stored', async () => {
  await using proxy = await testProxy(cloud.qdrant.url);
  proxy.intercept = (request) => Promise.resolve(carrying('picture 1')(request) ? 400 : undefined);
  const { output, stored } = await largeWrite(proxy);
  expect(output).toMatchObject({
    status: 'success',
    processed_count: 2,
    failed_count: 1,
    failed_images: [{ id: 'picture 1', code: 'qdrant_rejected' }],
  });
  expect(stored).toEqual(['picture 0', 'picture 2']);
});
