import { randomUUID } from 'node:crypto';

import { afterAll, expect, test } from '@jest/globals';

import type { EmbeddingModel } from '../../src/model/embedding-model.ts';
import { cutoutJob, smallSteps, STEP, type CutoutJob } from '../support/cutout-job.ts';
import { imagesIn, insertRows, jobRow, runJob, startJobCloud, type Row } from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

// Here and not in a hook, as concurrent tests begin before hooks do. Jobs wait side by side.
const cloud = await startJobCloud();

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const collectionRows = (job: CutoutJob): Promise<Row[]> =>
  cloud.supabase.sql(
    'select name, collection_type, vector_count from embedding_collections where name like $1 order by name',
    [`%${job.jobId}`],
  );

test.concurrent('a last state that was written and cannot be read back stands, and is no news', async () => {
  const job = await cutoutJob(cloud, STEP);
  await using proxy = await testProxy(cloud.supabase.url);
  let written = false;
  let refused = 0;
  proxy.intercept = ({ method, path, body }) => {
    if (!path.includes('/embedding_jobs')) return Promise.resolve(undefined);
    const before = written;
    written ||= method === 'PATCH' && body.includes('"completed"');
    if (before) refused += 1;
    return Promise.resolve(before ? 400 : undefined);
  };
  const { output, messages } = await runJob(cloud, { ...job.input(), supabase_url: proxy.url });
  expect(output).toMatchObject({ status: 'success', processed_count: STEP, warnings: [] });
  // Nothing was written over it: only the reading was tried.
  expect(refused).toBe(1);
  expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'completed', error_message: null });
  expect(messages.filter((message) => message.startsWith(`[${job.collection}] Complete:`))).toHaveLength(1);
});

test.concurrent('a last state that is refused for a while is written in the end', async () => {
  const job = await cutoutJob(cloud, STEP);
  await using proxy = await testProxy(cloud.supabase.url);
  let refused = 0;
  proxy.intercept = ({ method, body }) => {
    const last = method === 'PATCH' && body.includes('"completed"');
    return Promise.resolve(last && refused++ < 3 ? 503 : undefined);
  };
  const { output, messages } = await runJob(cloud, { ...job.input(), supabase_url: proxy.url });
  expect(refused).toBeGreaterThan(3);
  expect(output).toMatchObject({ status: 'success', warnings: [] });
  expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'completed', processed_images: STEP });
  expect(messages.filter((message) => message.includes('] Complete:'))).toHaveLength(1);
});

test.concurrent(
  'a collection is of the type that the job has it for, though this run wrote nothing into it',
  async () => {
    const job = await cutoutJob(cloud, STEP);
    const input = job.input({ append_only_new: true, product_collection: `products_of_${job.jobId}` });
    await runJob(cloud, input);
    await cloud.supabase.sql('delete from embedding_collections where name = $1', [job.collection]);
    const { output } = await runJob(cloud, { ...input, job_id: randomUUID() });
    expect(output).toMatchObject({ processed_count: 0, skipped: { already_in_collection: STEP } });
    expect(await collectionRows(job)).toEqual([
      { name: job.collection, collection_type: 'cutouts', vector_count: STEP },
    ]);
  },
);

test.concurrent('a collection into which nothing came has no row', async () => {
  const job = await cutoutJob(cloud, STEP);
  for (const i of job.numbers) cloud.images.misbehave(job.pathOf(i), { status: 404 });
  const { output } = await runJob(cloud, job.input());
  expect(output).toMatchObject({ status: 'error', error_code: 'all_images_failed', failed_count: STEP });
  expect(await collectionRows(job)).toEqual([]);
});

test.concurrent('a model whose collections cannot all be counted keeps its number', async () => {
  const model = randomUUID();
  await insertRows(cloud, 'embedding_models', [
    { id: model, name: 'Counted', model_type: 'demo', embedding_dim: 1, qdrant_vector_count: 777 },
  ]);
  const [first, second] = [await cutoutJob(cloud, STEP), await cutoutJob(cloud, 2 * STEP)];
  const row = { embedding_model_id: model };
  const counted = async (): Promise<unknown> =>
    (
      await cloud.supabase.sql('select qdrant_vector_count as n from embedding_models where id = $1', [model])
    )[0]?.n;
  await using proxy = await testProxy(cloud.qdrant.url);
  await runJob(cloud, first.input(), { row });
  expect(await counted()).toBe(STEP);
  proxy.intercept = ({ path }) =>
    Promise.resolve(path.includes(first.collection) && path.endsWith('/points/count') ? 400 : undefined);
  const { output } = await runJob(cloud, { ...second.input(), qdrant_url: proxy.url }, { row });
  expect(output.status).toBe('success');
  expect(output.warnings).toEqual([
    expect.stringContaining(`the points of ${first.collection} could not be counted`),
    expect.stringContaining(`the vector count of model ${model} was not written`),
  ]);
  expect(await counted()).toBe(STEP);
  // Its own collection could be counted.
  expect(await collectionRows(second)).toMatchObject([{ vector_count: 2 * STEP }]);
});

test.concurrent(
  'a model that stops in the middle of a job ends it and blames no image; the next job has a fresh one',
  async () => {
    // Many more than all stages hold: when the first are written, the last have not been read.
    const count = 15 * STEP;
    const job = await cutoutJob(cloud, count);
    const used: EmbeddingModel[] = [];
    const models: typeof cloud.tools.models = {
      ...cloud.tools.models,
      async lease(...args) {
        const lease = await cloud.tools.models.lease(...args);
        used.push(lease.model);
        return lease;
      },
    };
    const handler = smallSteps(cloud, { models });
    // Of a batch size that no other test has: its model is this test's own.
    const input = { ...job.input(), batch_size: STEP - 1 };
    const { output } = await runJob(cloud, input, {
      handler,
      onLine: ({ message }) => {
        if (message.startsWith(`[${job.collection}] Batch 1`)) void used[0]?.close();
      },
    });
    expect(output).toMatchObject({ status: 'error', error_code: 'model_closed', failed_count: 0 });
    expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'failed' });

    const again = await runJob(cloud, { ...input, job_id: randomUUID() }, { handler });
    expect(again.output).toMatchObject({ status: 'success', processed_count: count });
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
    expect(used[1]).not.toBe(used[0]);
  },
);
