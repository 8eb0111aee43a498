import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import {
  addCutouts,
  addProducts,
  cutoutId,
  imagesIn,
  jobRow,
  MODEL_ID,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type JobRun,
} from '../support/job.ts';

/** No row of `embedding_models`. */
const NO_MODEL = 'eeeeeeee-0000-4000-8000-000000000001';
const PRODUCTS = 2;
const CUTOUTS = 5;
const BROKEN = 4;

let cloud: JobCloud;

beforeAll(async () => {
  cloud = await startJobCloud();
  await addProducts(cloud, range(0, PRODUCTS));
  for (const [merchant, from] of [
    ['old', 0],
    ['new', 100],
  ] as const) {
    await addCutouts(
      cloud,
      range(from, from + CUTOUTS),
      (i) => i % PRODUCTS,
      () => ({ merchant }),
    );
    cloud.images.misbehave(`/cutouts/${productId((from + BROKEN) % PRODUCTS)}/${from + BROKEN}.jpg`, {
      status: 404,
    });
  }
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const job = (prefix: string, merchant: string, metadata: Record<string, unknown>): Promise<JobRun> =>
  runJob(cloud, {
    purpose: 'matching',
    source_config: {
      type: 'both',
      product_collection: `${prefix}_products`,
      cutout_collection: `${prefix}_cutouts`,
      filters: { cutout_merchant_names: [merchant] },
    },
    collection_metadata: { collection_type: 'matching', source_type: 'all', ...metadata },
  });

const cutouts = (merchant: string): Promise<unknown[]> =>
  cloud.supabase.sql(
    'select id, has_embedding, qdrant_point_id, embedding_model_id from cutout_images where merchant = $1 order by id',
    [merchant],
  );

const marked = (from: number): unknown[] =>
  range(from, from + CUTOUTS).map((i) => ({
    id: cutoutId(i),
    has_embedding: i !== from + BROKEN,
    qdrant_point_id: i === from + BROKEN ? null : cutoutId(i),
    embedding_model_id: null,
  }));

const collections = (prefix: string): Promise<unknown[]> =>
  cloud.supabase.sql(
    `select name, collection_type, source_type, embedding_model_id, vector_count from embedding_collections
     where name like $1 order by name`,
    [`${prefix}%`],
  );

describe('a model that is no row of this database', () => {
  test('is left out where it cannot be written, and said once', async () => {
    const { output, jobId } = await job('unknown', 'new', { embedding_model_id: NO_MODEL });
    expect(output).toMatchObject({ status: 'success', processed_count: 6, cutouts_marked: CUTOUTS - 1 });
    expect(
      output.warnings.filter((warning) => warning.includes('cutouts are marked without it')),
    ).toHaveLength(1);
    expect(output.warnings.some((warning) => warning.includes('embedding_models has no row'))).toBe(true);
    expect(
      output.warnings.every(
        (warning) => warning.includes(NO_MODEL) || warning.includes('embedding_model_id'),
      ),
    ).toBe(true);
    expect(await cutouts('new')).toEqual(marked(100));
    const same = { collection_type: 'matching', source_type: 'all', embedding_model_id: null };
    expect(await collections('unknown')).toEqual([
      { name: 'unknown_cutouts', ...same, vector_count: CUTOUTS - 1 },
      { name: 'unknown_products', ...same, vector_count: PRODUCTS },
    ]);
    expect(await jobRow(cloud, jobId)).toMatchObject({ status: 'completed' });
  });
});

describe('a database that was not made by our migrations', () => {
  let run: JobRun;

  beforeAll(async () => {
    await cloud.supabase.sql(`
      delete from embedding_collections;
      drop table embedding_job_failures;
      drop function mark_cutouts_embedded(uuid[], uuid[], uuid);
      alter table embedding_collections drop column frame_selection;
      alter table embedding_collections drop constraint embedding_collections_collection_type_check;
      alter table embedding_collections add constraint old_types
        check (collection_type in ('products', 'cutouts', 'training', 'evaluation'));
      alter table embedding_jobs drop constraint embedding_jobs_purpose_check;
      alter table embedding_jobs add constraint old_purposes
        check (purpose in ('matching', 'training', 'evaluation'));
    `);
    run = await job('older', 'old', { embedding_model_id: NO_MODEL, source_type: 'something new' });
  }, 60_000);

  test('lets the job complete all the same', async () => {
    expect(run.output).toMatchObject({
      status: 'success',
      processed_count: PRODUCTS + CUTOUTS - 1,
      failed_count: 1,
      failed_by_code: { http_404: 1 },
      cutouts_marked: CUTOUTS - 1,
    });
    expect(run.output.error).toBeUndefined();
    expect(await jobRow(cloud, run.jobId)).toMatchObject({
      status: 'completed',
      processed_images: PRODUCTS + CUTOUTS,
      error_message: null,
    });
    expect(await imagesIn(cloud, 'older_cutouts')).toEqual(range(0, CUTOUTS - 1).map(cutoutId));
    expect(await cutouts('old')).toEqual(marked(0));
  });

  test('gets rows with the nearest values that it allows', async () => {
    expect(await collections('older')).toEqual([
      {
        name: 'older_cutouts',
        collection_type: 'cutouts',
        source_type: null,
        embedding_model_id: null,
        vector_count: CUTOUTS - 1,
      },
      {
        name: 'older_products',
        collection_type: 'products',
        source_type: null,
        embedding_model_id: null,
        vector_count: PRODUCTS,
      },
    ]);
  });

  test('is told of in the warnings, each lack once', () => {
    const { warnings } = run.output;
    const about = (words: RegExp): number => warnings.filter((warning) => words.test(warning)).length;
    expect(about(/lacks the table embedding_job_failures/)).toBe(1);
    expect(about(/lacks the function mark_cutouts_embedded/)).toBe(1);
    expect(about(/cutouts are marked without it/)).toBe(1);
    expect(about(/frame_selection/)).toBeGreaterThanOrEqual(1);
    expect(about(/collection_type of older_cutouts is written as cutouts/)).toBe(1);
    expect(about(/collection_type of older_products is written as products/)).toBe(1);
    expect(about(/source_type of older_products is written as it is, or not at all/)).toBe(1);
    expect(new Set(warnings).size).toBe(warnings.length);
  });

  test('lets a job with a model that it knows mark and count as ever', async () => {
    await cloud.supabase.sql('update cutout_images set has_embedding = false, qdrant_point_id = null');
    const { output } = await job('known', 'old', { embedding_model_id: MODEL_ID });
    expect(output).toMatchObject({ status: 'success', cutouts_marked: CUTOUTS - 1 });
    const rows = await cloud.supabase.sql(
      `select count(*)::int as n from cutout_images where has_embedding and embedding_model_id = $1`,
      [MODEL_ID],
    );
    expect(rows).toEqual([{ n: CUTOUTS - 1 }]);
    expect(
      await cloud.supabase.sql('select qdrant_vector_count from embedding_models where id = $1', [MODEL_ID]),
    ).toEqual([{ qdrant_vector_count: PRODUCTS + CUTOUTS - 1 }]);
  });

  test('that lacks the table of collections too still gets its vectors', async () => {
    await cloud.supabase.sql('drop table embedding_collections cascade');
    const { output } = await job('last', 'old', { embedding_model_id: MODEL_ID });
    expect(output).toMatchObject({ status: 'success', processed_count: PRODUCTS + CUTOUTS - 1 });
    expect(output.warnings.some((warning) => warning.includes('embedding_collections'))).toBe(true);
  });
});

test('a column for counts that is not there, and a status that the row may not have, are warnings', async () => {
  await cloud.supabase.sql(`
    alter table embedding_models drop column qdrant_vector_count;
    alter table embedding_jobs drop constraint embedding_jobs_status_check;
    alter table embedding_jobs add constraint old_states
      check (status in ('queued', 'running', 'completed', 'failed')) not valid;
  `);
  const { output } = await job('countless', 'old', { embedding_model_id: MODEL_ID });
  expect(output).toMatchObject({ status: 'success', processed_count: PRODUCTS + CUTOUTS - 1 });
  expect(output.warnings).toContainEqual(expect.stringContaining('vector count of model'));

  const cancelled = await runJob(
    cloud,
    { source_config: { type: 'products', product_collection: 'countless_products' } },
    { signal: AbortSignal.abort() },
  );
  expect(cancelled.output).toMatchObject({ status: 'cancelled', processed_count: 0 });
  expect(cancelled.output.warnings).toContainEqual(
    expect.stringContaining("the job's row could not be written as cancelled"),
  );
  expect(await jobRow(cloud, cancelled.jobId)).toMatchObject({ status: 'running' });
});

test('a job without a row runs, and says that its progress is written nowhere', async () => {
  const { output } = await runJob(
    cloud,
    { source_config: { type: 'products', product_collection: 'no_row' } },
    { row: null },
  );
  expect(output).toMatchObject({ status: 'success', processed_count: PRODUCTS });
  expect(output.warnings.some((warning) => warning.includes('embedding_jobs has no row'))).toBe(true);
});
