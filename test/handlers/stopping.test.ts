import { randomUUID } from 'node:crypto';

import { afterAll, describe, expect, test } from '@jest/globals';

import { createEmbeddingHandler } from '../../handlers/embedding.ts';
import { StoppedError } from '../../src/base/errors.ts';
import {
  addCutouts,
  collectionsIn,
  cutoutId,
  imagesIn,
  jobRow,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobRun,
  type LogLine,
} from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

/** Of each test's sixteen cutouts the first eight are answered, in two writes, and the rest only when let. */
const CUTOUTS = 16;
const ANSWERED = 8;
const WRITE_SIZE = 4;

// Here and not in a hook, as concurrent tests begin before hooks do. Every job waits at its end for the API's last
// word: side by side they wait together.
const cloud = await startJobCloud();
const limits = { ...cloud.tools.limits, downloads: WRITE_SIZE, writeSize: WRITE_SIZE };
const handler = createEmbeddingHandler({ ...cloud.tools, limits });
let used = 0;

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

interface Halfway {
  jobId: string;
  numbers: number[];
  collection: string;
  input: Record<string, unknown>;
  /** Calls back when eight cutouts are written, and the next ones wait for their picture. */
  onHalf: (then: () => void) => (line: LogLine) => void;
  /** The pictures that were held back are there. */
  letOn: () => void;
}

/** A job that stands still when it is half done. */
async function halfwayJob(): Promise<Halfway> {
  const numbers = range(used, used + CUTOUTS);
  used += CUTOUTS;
  const jobId = randomUUID();
  await addCutouts(
    cloud,
    numbers,
    (i) => i % 5,
    () => ({ merchant: jobId }),
  );
  const silent = numbers.slice(ANSWERED).map((i) => `/cutouts/${productId(i % 5)}/${i}.jpg`);
  for (const path of silent) cloud.images.misbehave(path, 'silent');
  const collection = `stopping_${jobId}`;
  return {
    jobId,
    numbers,
    collection,
    input: {
      job_id: jobId,
      batch_size: WRITE_SIZE,
      source_config: {
        type: 'cutouts',
        cutout_collection: collection,
        filters: { cutout_merchant_names: [jobId] },
      },
    },
    onHalf: (then) => (line) => {
      if (line.message === `[${collection}] Batch ${ANSWERED / WRITE_SIZE}: Upserted ${WRITE_SIZE} points`)
        then();
    },
    letOn: () => {
      for (const path of silent) cloud.images.recover(path);
    },
  };
}

const marked = async (job: Halfway): Promise<unknown[]> => {
  const rows = await cloud.supabase.sql(
    'select id from cutout_images where merchant = $1 and has_embedding order by id',
    [job.jobId],
  );
  return rows.map(({ id }) => id);
};

const downloads = (job: Halfway): number =>
  [...cloud.images.requests.keys()].filter((path) =>
    job.numbers.some((i) => path === `/cutouts/${productId(i % 5)}/${i}.jpg`),
  ).length;

/** What the store acknowledged before the stop is there, counted and marked. */
async function expectHalf(job: Halfway): Promise<void> {
  const half = job.numbers.slice(0, ANSWERED).map(cutoutId);
  expect(await imagesIn(cloud, job.collection)).toEqual(half);
  expect(await marked(job)).toEqual(half);
  const rows = await cloud.supabase.sql('select vector_count from embedding_collections where name = $1', [
    job.collection,
  ]);
  expect(rows).toEqual([{ vector_count: ANSWERED }]);
}

describe('cancelling', () => {
  test.concurrent(
    'by the row stops the job, leaves the row as the page wrote it, and keeps what was acknowledged',
    async () => {
      const job = await halfwayJob();
      let written: Promise<unknown> = Promise.resolve();
      const { output } = await runJob(cloud, job.input, {
        handler,
        onLine: job.onHalf(() => {
          written = cloud.supabase.sql(
            `update embedding_jobs set status = 'cancelled', error_message = 'by hand' where id = $1`,
            [job.jobId],
          );
        }),
      });
      await written;
      expect(output).toMatchObject({
        status: 'cancelled',
        processed_count: ANSWERED,
        failed_count: 0,
        total_images: CUTOUTS,
        cutouts_marked: ANSWERED,
        collections: { [job.collection]: { points_written: ANSWERED } },
      });
      expect(output.error).toBeUndefined();
      expect(await jobRow(cloud, job.jobId)).toMatchObject({
        status: 'cancelled',
        error_message: 'by hand',
        completed_at: null,
      });
      await expectHalf(job);
    },
  );

  test.concurrent('by the caller stops the job and says so in the row', async () => {
    const job = await halfwayJob();
    const stop = new AbortController();
    const { output } = await runJob(cloud, job.input, {
      handler,
      signal: stop.signal,
      onLine: job.onHalf(() => stop.abort(new Error('changed my mind'))),
    });
    expect(output).toMatchObject({ status: 'cancelled', processed_count: ANSWERED, failed_count: 0 });
    expect(output.error).toBeUndefined();
    const row = await jobRow(cloud, job.jobId);
    expect(row).toMatchObject({ status: 'cancelled', processed_images: ANSWERED, total_images: CUTOUTS });
    expect(row.completed_at).not.toBeNull();
    await expectHalf(job);
  });

  test.concurrent('before it began reads and writes nothing', async () => {
    const job = await halfwayJob();
    const row = { status: 'cancelled', total_images: 7, processed_images: 3 };
    const { output } = await runJob(cloud, job.input, { handler, row });
    expect(output).toMatchObject({ status: 'cancelled', processed_count: 0, total_images: 0 });
    expect(await jobRow(cloud, job.jobId)).toMatchObject({ ...row, started_at: null, completed_at: null });
    expect(downloads(job)).toBe(0);
    expect(await collectionsIn(cloud)).not.toContain(job.collection);
  });

  test.concurrent('by a caller who was faster than the job leaves no row that waits for ever', async () => {
    const job = await halfwayJob();
    const { output } = await runJob(cloud, job.input, { handler, signal: AbortSignal.abort() });
    expect(output.status).toBe('cancelled');
    expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'cancelled', processed_images: 0 });
    expect(downloads(job)).toBe(0);
    expect(await collectionsIn(cloud)).not.toContain(job.collection);
  });

  test.concurrent('by a deadline is a failure that keeps what was acknowledged', async () => {
    const job = await halfwayJob();
    const stop = new AbortController();
    const { output } = await runJob(cloud, job.input, {
      handler,
      signal: stop.signal,
      onLine: job.onHalf(() => stop.abort(new StoppedError('timed_out', 'ten minutes are over'))),
    });
    expect(output).toMatchObject({
      status: 'error',
      error_code: 'timed_out',
      error: 'ten minutes are over',
      processed_count: ANSWERED,
    });
    expect(await jobRow(cloud, job.jobId)).toMatchObject({
      status: 'failed',
      error_message: 'ten minutes are over',
      processed_images: ANSWERED,
    });
    await expectHalf(job);
  });
});

describe('a platform that stops the worker', () => {
  test.concurrent(
    'leaves the row running, and the same job run again ends as if nothing had happened',
    async () => {
      const job = await halfwayJob();
      const stop = new AbortController();
      const stopped = runJob(cloud, job.input, {
        handler,
        signal: stop.signal,
        onLine: job.onHalf(() => stop.abort(new StoppedError('shutdown', 'SIGTERM'))),
      });
      await expect(stopped).rejects.toMatchObject({ code: 'shutdown' });
      const halfway = await jobRow(cloud, job.jobId);
      expect(halfway).toMatchObject({
        status: 'running',
        processed_images: ANSWERED,
        total_images: CUTOUTS,
        completed_at: null,
        error_message: null,
      });
      expect(await marked(job)).toEqual(job.numbers.slice(0, ANSWERED).map(cutoutId));

      job.letOn();
      const shown: Promise<number>[] = [];
      const { output } = await runJob(cloud, job.input, {
        handler,
        onLine: ({ message }) => {
          if (message.startsWith(`[${job.collection}] Batch`)) {
            shown.push(jobRow(cloud, job.jobId).then((row) => Number(row.processed_images)));
          }
        },
      });
      expect(output).toMatchObject({
        status: 'success',
        processed_count: CUTOUTS,
        total_images: CUTOUTS,
        cutouts_marked: CUTOUTS,
      });
      const row = await jobRow(cloud, job.jobId);
      expect(row).toMatchObject({ status: 'completed', processed_images: CUTOUTS, total_images: CUTOUTS });
      expect(row.started_at).toEqual(halfway.started_at);
      // What the first run has done is not written again.
      expect(shown.length).toBe((CUTOUTS - ANSWERED) / WRITE_SIZE);
      expect(Math.min(...(await Promise.all(shown)))).toBeGreaterThanOrEqual(ANSWERED);
      expect(await imagesIn(cloud, job.collection)).toEqual(job.numbers.map(cutoutId));
      expect([...(await pointsOf(cloud, job.collection)).values()].map((p) => p.payload.job_id)).toEqual(
        job.numbers.map(() => job.jobId),
      );
      expect(await marked(job)).toEqual(job.numbers.map(cutoutId));
    },
  );

  test.concurrent('before the job began leaves the row as it was', async () => {
    const job = await halfwayJob();
    const signal = AbortSignal.abort(new StoppedError('shutdown', 'SIGTERM'));
    await expect(runJob(cloud, job.input, { handler, signal })).rejects.toMatchObject({ code: 'shutdown' });
    expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'queued', started_at: null });
  });
});

describe('states that the API writes over ours', () => {
  const { settleMs: _, ...tools } = cloud.tools;
  const settling = createEmbeddingHandler({ ...tools, limits });

  /** Runs the job; when it has written a state, and before it reads anything again, another one is written over it. */
  const runOverwritten = async (job: Halfway, seen: string, values: string): Promise<JobRun> => {
    await using proxy = await testProxy(cloud.supabase.url);
    let written = false;
    let overwritten = false;
    proxy.intercept = async ({ method, path, body }) => {
      if (written && !overwritten && method === 'GET') {
        overwritten = true;
        await cloud.supabase.sql(`update embedding_jobs set ${values} where id = $1`, [job.jobId]);
      }
      if (method === 'PATCH' && path.includes('/embedding_jobs')) {
        written ||= (JSON.parse(body) as { status: string }).status === seen;
      }
      return undefined;
    };
    job.letOn();
    const run = await runJob(cloud, { ...job.input, supabase_url: proxy.url }, { handler: settling });
    expect(overwritten).toBe(true);
    return run;
  };

  test.concurrent.each([
    ['running', `status = 'queued', runpod_job_id = 'late'`],
    ['completed', `status = 'queued', runpod_job_id = 'late'`],
    ['completed', `status = 'running', runpod_job_id = 'late'`],
  ])('once it is %s: %s; the last state wins', async (seen, values) => {
    const job = await halfwayJob();
    const { output } = await runOverwritten(job, seen, values);
    expect(output.status).toBe('success');
    const row = await jobRow(cloud, job.jobId);
    expect(row).toMatchObject({
      status: 'completed',
      processed_images: CUTOUTS,
      total_images: CUTOUTS,
      runpod_job_id: 'late',
    });
    expect(row.completed_at).not.toBeNull();
  });

  test.concurrent('a page that cancels just after the end keeps its word', async () => {
    const job = await halfwayJob();
    const { output } = await runOverwritten(job, 'completed', `status = 'cancelled'`);
    expect(output.status).toBe('success');
    expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'cancelled' });
  });
});
