import { setTimeout } from 'node:timers/promises';

import { afterAll, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { startWorker } from '../support/chaos/process.ts';
import { cutoutJob, smallSteps, STEP, type CutoutJob } from '../support/cutout-job.ts';
import { imagesIn, jobRow, runJob, startJobCloud, type JobCloud } from '../support/job.ts';
import { testProxy, type TestProxy } from '../support/proxy.ts';

const cloud: JobCloud = await startJobCloud();

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

/** Of the worker process: points in a write, and downloads at once. */
const PROCESS_STEP = 8;
/** Writes that are under way when it is told to stop, and the one before them: what is stored without draining. */
const WITHOUT_DRAINING = 4 * PROCESS_STEP;
/** More than the pipeline holds. */
const IMAGES = 160;

/** Lets the first write of points through, and holds the others. */
function holdWrites(qdrant: TestProxy) {
  const [held, on] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  let writes = 0;
  qdrant.intercept = async ({ method, path }) => {
    if (method !== 'PUT' || !path.includes('/points') || (writes += 1) === 1) return undefined;
    held.resolve(undefined);
    await on.promise;
    return undefined;
  };
  return { held: held.promise, letOn: () => on.resolve(undefined) };
}

/** How often each of the job's images was asked for. */
const fetches = (job: CutoutJob): Map<string, number> =>
  new Map(
    job.numbers.flatMap((number, i) => {
      const times = cloud.images.requests.get(job.pathOf(number));
      return times === undefined ? [] : [[job.ids[i] ?? '', times] as const];
    }),
  );

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await setTimeout(20);
};

test('SIGTERM: what was fetched is stored and marked, the row stays running, and the next run fetches none of it', async () => {
  const job = await cutoutJob(cloud, IMAGES);
  const [broken = 0] = job.numbers;
  cloud.images.misbehave(job.pathOf(broken), { status: 404 });
  const failures = (): Promise<unknown[]> =>
    cloud.supabase.sql('select image_id from embedding_job_failures where job_id = $1', [job.jobId]);
  await cloud.supabase.sql(
    `insert into embedding_jobs (id, job_type, source, status) values ($1, 'full', 'both', 'queued')`,
    [job.jobId],
  );
  await using qdrant = await testProxy(cloud.qdrant.url);
  const slow = holdWrites(qdrant);
  await using worker = startWorker({
    model_type: 'demo',
    ...cloud.credentials,
    ...job.input(),
    qdrant_url: qdrant.url,
  });
  await slow.held;
  await until(() => fetches(job).size > WITHOUT_DRAINING + 2 * PROCESS_STEP);
  worker.kill('SIGTERM');
  await until(() => worker.lastWords().includes('Stopping'));
  slow.letOn();
  expect(await worker.ended).toEqual({ code: 1, signal: null });
  expect(worker.lastWords()).toContain('stopped by SIGTERM');

  const fetched = fetches(job);
  const stored = await imagesIn(cloud, job.collection);
  expect(stored.length).toBeGreaterThan(WITHOUT_DRAINING);
  // What was on its way from the image host is cut, and one was not there.
  expect(stored.length).toBeGreaterThanOrEqual(fetched.size - PROCESS_STEP - 1);
  expect(fetched.size).toBeLessThan(IMAGES);
  expect(await job.marked()).toEqual(stored);
  expect(await jobRow(cloud, job.jobId)).toMatchObject({
    status: 'running',
    total_images: IMAGES,
    processed_images: stored.length + 1,
    completed_at: null,
    error_message: null,
  });
  expect(await failures()).toEqual([{ image_id: job.ids[0] }]);

  cloud.images.recover(job.pathOf(broken));

  const { output } = await runJob(cloud, job.input());
  expect(output).toMatchObject({
    status: 'success',
    processed_count: IMAGES,
    resumed_count: stored.length,
    failed_count: 0,
  });
  expect(await failures()).toEqual([]);
  const again = fetches(job);
  expect(stored.filter((id) => again.get(id) !== 1)).toEqual([]);
  expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
  expect(await job.marked()).toEqual(job.ids);
});

test('a grace that is too short ends in time all the same, and the row can be taken up again', async () => {
  const job = await cutoutJob(cloud, 4 * STEP);
  await using qdrant = await testProxy(cloud.qdrant.url);
  const never = holdWrites(qdrant);
  const stop = new AbortController();
  const run = runJob(
    cloud,
    { ...job.input(), qdrant_url: qdrant.url },
    { handler: smallSteps(cloud), signal: stop.signal },
  );
  run.catch(() => undefined);
  await never.held;
  stop.abort(new StoppedError('shutdown', 'SIGTERM', { graceMs: 400 }));
  // The write is not let on: it is given up.
  await expect(run).rejects.toMatchObject({ code: 'shutdown' });
  never.letOn();
  expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'running', processed_images: STEP });
  expect(await job.marked()).toEqual(job.ids.slice(0, STEP));

  const { output } = await runJob(cloud, job.input());
  expect(output).toMatchObject({ status: 'success', processed_count: 4 * STEP });
  expect(await job.marked()).toEqual(job.ids);
});

test.each(['cancelled', 'timed_out'] as const)(
  'a job that is %s brings nothing more through',
  async (code) => {
    const job = await cutoutJob(cloud, 10 * STEP);
    await using qdrant = await testProxy(cloud.qdrant.url);
    const slow = holdWrites(qdrant);
    const stop = new AbortController();
    const run = runJob(
      cloud,
      { ...job.input(), qdrant_url: qdrant.url },
      { handler: smallSteps(cloud), signal: stop.signal },
    );
    await slow.held;
    stop.abort(new StoppedError(code, 'by hand', { graceMs: 60_000 }));
    slow.letOn();
    const { output } = await run;
    // The write that was under way is known.
    expect(output.processed_count).toBe(2 * STEP);
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids.slice(0, 2 * STEP));
  },
);
