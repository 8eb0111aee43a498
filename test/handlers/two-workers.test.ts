import { afterAll, expect, test } from '@jest/globals';

import { cutoutJob, smallSteps, STEP } from '../support/cutout-job.ts';
import { imagesIn, jobRow, runJob, startJobCloud, type JobCloud } from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

const cloud: JobCloud = await startJobCloud();
const handler = smallSteps(cloud);
const COUNT = 4 * STEP;

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

test('of two workers with one job the later takes over, and the earlier stops and changes nothing more', async () => {
  const job = await cutoutJob(cloud, COUNT);
  await using qdrant = await testProxy(cloud.qdrant.url);
  await using supabase = await testProxy(cloud.supabase.url);
  const stuck = Promise.withResolvers<undefined>();
  const held = Promise.withResolvers<undefined>();
  let writes = 0;
  qdrant.intercept = async ({ method, path }) => {
    if (method !== 'PUT' || !path.includes('/points') || ++writes < 2) return undefined;
    held.resolve(undefined);
    return stuck.promise;
  };
  const first = runJob(
    cloud,
    { ...job.input(), qdrant_url: qdrant.url, supabase_url: supabase.url },
    { handler },
  );
  // The queue knows both runs by one id: the earlier must not answer for the later.
  const handedOver = { code: 'superseded', answeredElsewhere: true };
  const refused = expect(first).rejects.toMatchObject(handedOver);
  await held.promise;

  const { output } = await runJob(cloud, job.input(), { handler });
  expect(output).toMatchObject({ status: 'success', processed_count: COUNT, total_images: COUNT });
  const row = await jobRow(cloud, job.jobId);
  expect(row).toMatchObject({ status: 'completed', total_images: COUNT, processed_images: COUNT });
  stuck.resolve(undefined);
  await refused;

  expect(await jobRow(cloud, job.jobId)).toEqual(row);
  expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
  expect(await job.marked()).toEqual(job.ids);
});

test('a worker that learns of the later one only at its end leaves the row to it', async () => {
  const job = await cutoutJob(cloud, STEP);
  await using supabase = await testProxy(cloud.supabase.url);
  let taken = false;
  supabase.intercept = async ({ method, path, body }) => {
    const ends = method === 'PATCH' && path.includes('/embedding_jobs') && body.includes('completed"');
    if (ends && !taken) {
      taken = true;
      await cloud.supabase.sql(
        "update embedding_jobs set lease_holder = 'a later run', processed_images = 1 where id = $1",
        [job.jobId],
      );
    }
    return undefined;
  };
  const input = { ...job.input(), supabase_url: supabase.url };
  // The later run is another request of the queue: this one is answered here.
  const superseded = { code: 'superseded', answeredElsewhere: false };
  await expect(runJob(cloud, input, { handler })).rejects.toMatchObject(superseded);
  expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'running', lease_holder: 'a later run' });
});

test('a job that is done is taken up by a later run as any other', async () => {
  const job = await cutoutJob(cloud, STEP);
  for (const resumed of [0, STEP]) {
    const { output } = await runJob(cloud, job.input(), { handler });
    expect(output).toMatchObject({ status: 'success', resumed_count: resumed });
  }
});

test('a database without the column has no lease, and the output says so', async () => {
  await cloud.supabase.sql('alter table embedding_jobs drop column lease_holder');
  const job = await cutoutJob(cloud, STEP);
  const { output } = await runJob(cloud, job.input(), { handler });
  expect(output).toMatchObject({ status: 'success', processed_count: STEP });
  expect(output).toHaveProperty('warnings', [expect.stringContaining('no column lease_holder')]);
  expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'completed', processed_images: STEP });
});
