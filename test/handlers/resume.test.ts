import { afterAll, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { cutoutJob, smallSteps, STEP, type CutoutJob } from '../support/cutout-job.ts';
import { imagesIn, jobRow, runJob, startJobCloud, type JobCloud } from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

const cloud: JobCloud = await startJobCloud();
const handler = smallSteps(cloud);
/** More than goes through when a job is stopped: what was fetched already. */
const COUNT = 10 * STEP;

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

/** Stops the job when its second write of points is on its way. */
async function stopMidway(job: CutoutJob, source: object = {}): Promise<void> {
  await using qdrant = await testProxy(cloud.qdrant.url);
  const stop = new AbortController();
  let writes = 0;
  qdrant.intercept = ({ method, path }) => {
    if (method === 'PUT' && path.includes('/points') && ++writes === 2) {
      stop.abort(new StoppedError('shutdown', 'SIGTERM'));
    }
    return Promise.resolve(undefined);
  };
  const input = { ...job.input({ ...source }), qdrant_url: qdrant.url };
  await expect(runJob(cloud, input, { handler, signal: stop.signal })).rejects.toMatchObject({
    code: 'shutdown',
  });
}

/** How often points' payloads were asked for by id, and which points were written, while a job ran. */
async function runWatched(input: object) {
  await using qdrant = await testProxy(cloud.qdrant.url);
  const { output } = await runJob(cloud, { ...input, qdrant_url: qdrant.url }, { handler });
  const written = qdrant.requests
    .filter(({ method, path }) => method === 'PUT' && path.includes('/points'))
    .flatMap(({ body }) => (JSON.parse(body) as { points: { id: string }[] }).points.map(({ id }) => id));
  const asked = qdrant.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/points'));
  return { output, written: written.sort(), asked: asked.length };
}

test.each([
  ['that embeds all', {}],
  ['that appends', { append_only_new: true }],
])(
  'a job %s writes only what it has not done yet when it runs again, and counts the rest',
  async (_, source) => {
    const job = await cutoutJob(cloud, COUNT);
    await stopMidway(job, source);
    const before = (await imagesIn(cloud, job.collection)).map(String);
    expect(before.length).toBeGreaterThanOrEqual(STEP);
    expect(before.length).toBeLessThan(COUNT);
    // A run that died between the point and its mark.
    await cloud.supabase.sql('update cutout_images set has_embedding = false where id = $1', [before[0]]);

    const { output, written } = await runWatched(job.input({ ...source }));
    expect(written).toEqual(job.ids.filter((id) => !before.includes(id)));
    expect(output).toMatchObject({
      status: 'success',
      processed_count: COUNT,
      resumed_count: before.length,
      total_images: COUNT,
      collections: { [job.collection]: { total: COUNT, points_written: COUNT, cutout: COUNT, failed: 0 } },
      skipped: { already_in_collection: 0 },
    });
    expect(await jobRow(cloud, job.jobId)).toMatchObject({
      status: 'completed',
      total_images: COUNT,
      processed_images: COUNT,
    });
    expect(await job.marked()).toEqual(job.ids);
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
  },
);

test("another job over the same images embeds them all: only the job's own points count as done", async () => {
  const job = await cutoutJob(cloud, COUNT);
  await runJob(cloud, job.input(), { handler });
  const other = { ...job.input(), job_id: (await cutoutJob(cloud, 0)).jobId };
  const { output, written, asked } = await runWatched(other);
  expect(written).toEqual(job.ids);
  expect(asked).toBe(0);
  expect(output).toMatchObject({ processed_count: COUNT, resumed_count: 0 });
});

test('a job that had done everything writes nothing when it runs again', async () => {
  const job = await cutoutJob(cloud, COUNT);
  await runJob(cloud, job.input(), { handler });
  const { output, written } = await runWatched(job.input());
  expect(written).toEqual([]);
  expect(output).toMatchObject({ status: 'success', processed_count: COUNT, resumed_count: COUNT });
});
