import { afterAll, expect, test } from '@jest/globals';

import { cutoutJob, smallSteps, STEP, type CutoutJob } from '../support/cutout-job.ts';
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

const failures = (job: CutoutJob): Promise<unknown[]> =>
  cloud.supabase.sql('select image_id, code from embedding_job_failures where job_id = $1', [job.jobId]);

test('failures that an earlier run tells of when a later one has taken over are not written beside its points', async () => {
  const job = await cutoutJob(cloud, STEP);
  const [broken = 0, gone = 0] = job.numbers;
  cloud.images.misbehave(job.pathOf(broken), { status: 404 });
  cloud.images.misbehave(job.pathOf(gone), { status: 410 });
  await using supabase = await testProxy(cloud.supabase.url);
  const [telling, later] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  supabase.intercept = async ({ method, path, body }) => {
    if (method !== 'POST' || !path.includes('failures') || !body.includes('http_404')) return undefined;
    telling.resolve(undefined);
    return later.promise;
  };
  const first = runJob(cloud, { ...job.input(), supabase_url: supabase.url }, { handler });
  const refused = expect(first).rejects.toMatchObject({ code: 'superseded' });
  await telling.promise;
  cloud.images.recover(job.pathOf(broken));
  const { output } = await runJob(cloud, job.input(), { handler });
  expect(output).toMatchObject({ processed_count: STEP - 1, failed_count: 1 });
  later.resolve(undefined);
  await refused;
  expect(await failures(job)).toEqual([{ image_id: job.ids[1], code: 'http_410' }]);
  expect(await job.marked()).toEqual(job.ids.filter((_, i) => i !== 1));
});

test('an earlier run that begins late does not forget what the later one has told', async () => {
  const job = await cutoutJob(cloud, STEP);
  cloud.images.misbehave(job.pathOf(job.numbers[0] ?? 0), { status: 404 });
  await using supabase = await testProxy(cloud.supabase.url);
  const [begun, later] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  supabase.intercept = async ({ path, method }) => {
    if (method === 'GET' || !path.includes('failures')) return undefined;
    begun.resolve(undefined);
    return later.promise;
  };
  const first = runJob(cloud, { ...job.input(), supabase_url: supabase.url }, { handler });
  const refused = expect(first).rejects.toMatchObject({ code: 'superseded' });
  await begun.promise;
  const { output } = await runJob(cloud, job.input(), { handler });
  expect(output).toMatchObject({ failed_count: 1 });
  later.resolve(undefined);
  await refused;
  expect(await failures(job)).toEqual([{ image_id: job.ids[0], code: 'http_404' }]);
});

test('a database without the function writes failures all the same, and the output says what it lacks', async () => {
  const [definition] = await cloud.supabase.sql(
    "select pg_get_functiondef('record_job_failures(uuid, text, jsonb, boolean)'::regprocedure) as text",
  );
  await cloud.supabase.sql('drop function record_job_failures(uuid, text, jsonb, boolean)');
  const job = await cutoutJob(cloud, STEP);
  cloud.images.misbehave(job.pathOf(job.numbers[0] ?? 0), { status: 404 });
  for (const missing of [0, 1]) {
    if (missing === 1) cloud.images.misbehave(job.pathOf(job.numbers[0] ?? 0), { status: 410 });
    const { output } = await runJob(cloud, job.input(), { handler });
    expect(output.warnings).toEqual([expect.stringContaining('lacks the function record_job_failures')]);
  }
  expect(await failures(job)).toEqual([{ image_id: job.ids[0], code: 'http_410' }]);
  await cloud.supabase.sql(String(definition?.text));
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
