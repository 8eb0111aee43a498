import { randomUUID } from 'node:crypto';

import { afterAll, describe, expect, test } from '@jest/globals';

import {
  addCutouts,
  addProducts,
  cutoutId,
  imagesIn,
  jobRow,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobRun,
  type Row,
} from '../support/job.ts';

// Here and not in a hook, as concurrent tests begin before hooks do. Every job waits at its end for the API's last
// word: side by side they wait together.
const cloud = await startJobCloud();
await addProducts(cloud, range(0, 4));

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const products = (collection: string, numbers: readonly number[], input: Row = {}): Promise<JobRun> =>
  runJob(cloud, {
    source_config: {
      type: 'products',
      frame_selection: 'all',
      product_collection: collection,
      filters: { product_source: 'selected', product_ids: numbers.map(productId) },
    },
    ...input,
  });

test.concurrent(
  'names in any script, paths with blanks and slashes too many: stored as they are, and fetched',
  async () => {
    const names = {
      brand_name: 'Şekerci "Ünlü" \\ 甘い',
      product_name: '\u202eكعكة 🍰\n<script>',
      barcode: ' 00 12 ',
    };
    await addProducts(cloud, [10], () => ({
      ...names,
      frames_path: `${cloud.images.url}/frames/ürün on iki//`,
      frame_count: 2,
    }));
    const { output } = await products('odd names', [10]);
    expect(output).toMatchObject({ status: 'success', processed_count: 2, failed_count: 0 });
    const payloads = [...(await pointsOf(cloud, 'odd names')).values()].map(({ payload }) => payload);
    expect(payloads.map(({ url }) => url).sort()).toEqual(
      [0, 1].map((frame) => `${cloud.images.url}/frames/ürün on iki/frame_000${frame}.png`),
    );
    for (const payload of payloads) expect(payload).toMatchObject(names);
  },
);

test.concurrent(
  'a collection with a name in any script is written, counted and told of under that name',
  async () => {
    const name = 'Ürünler % #1 (yeni) 甘い';
    const { output, messages } = await products(name, [0]);
    expect(output).toMatchObject({ status: 'success', collections: { [name]: { points_written: 3 } } });
    expect(messages).toContain(`Processing Collection: ${name}`);
    expect((await pointsOf(cloud, name)).size).toBe(3);
    const rows = await cloud.supabase.sql('select vector_count from embedding_collections where name = $1', [
      name,
    ]);
    expect(rows).toEqual([{ vector_count: 3 }]);
  },
);

test.concurrent('no images at all: completed, with a word on it', async () => {
  const { output, jobId } = await runJob(cloud, {
    purpose: 'matching',
    source_config: {
      type: 'both',
      product_collection: 'nothing',
      cutout_collection: 'nothing too',
      filters: {
        product_source: 'filter',
        product_filter: { category: 'nowhere' },
        cutout_merchant_names: ['nobody'],
      },
    },
  });
  expect(output).toMatchObject({
    status: 'success',
    processed_count: 0,
    failed_count: 0,
    total_images: 0,
    warnings: ['the job found no images to embed'],
  });
  expect(output.error).toBeUndefined();
  expect(await jobRow(cloud, jobId)).toMatchObject({
    status: 'completed',
    total_images: 0,
    processed_images: 0,
    error_message: null,
  });
});

test.concurrent('products whose path or count is missing are counted, and the others done', async () => {
  await cloud.supabase.sql('alter table products alter column frame_count drop not null');
  await addProducts(cloud, [20, 21, 22], (i) => ({
    frames_path: i === 20 ? null : i === 21 ? '' : `${cloud.images.url}/frames/x`,
    frame_count: i === 22 ? null : 3,
  }));
  const { output } = await products('gaps', [20, 21, 22, 1]);
  expect(output).toMatchObject({
    status: 'success',
    processed_count: 3,
    skipped: { products_without_images: 3 },
  });
});

describe('spellings', () => {
  test.concurrent('ids in upper case, stray slashes behind addresses, nulls and unknown keys', async () => {
    const jobId = randomUUID();
    const { output, lines } = await runJob(cloud, {
      job_id: jobId,
      purpose: null,
      embedding_dim: null,
      images: null,
      favourite_colour: 'blue',
      supabase_url: `${cloud.supabase.url}/`,
      qdrant_url: `${cloud.qdrant.url}/`,
      source_config: {
        type: 'products',
        favourite_frame: 7,
        product_collection: 'spelled',
        max_frames: null,
        filters: {
          product_source: 'selected',
          product_ids: [productId(1), productId(1).toUpperCase(), productId(2)],
        },
      },
    });
    expect(output).toMatchObject({ status: 'success', processed_count: 2 });
    const naming = lines.filter((line) => JSON.stringify(line).includes('favourite_colour'));
    expect(naming).toHaveLength(1);
    expect(naming[0]).toMatchObject({
      level: 'debug',
      keys: ['favourite_colour', 'source_config.favourite_frame'],
    });
  });

  test.concurrent('a job id in upper case is the row in lower case', async () => {
    const jobId = randomUUID();
    const row = { id: jobId, job_type: 'full', source: 'products', status: 'queued' };
    await cloud.supabase.sql(
      'insert into embedding_jobs (id, job_type, source, status) values ($1, $2, $3, $4)',
      Object.values(row),
    );
    const { output } = await runJob(
      cloud,
      {
        job_id: jobId.toUpperCase(),
        source_config: {
          type: 'products',
          product_collection: 'upper',
          filters: { product_source: 'selected', product_ids: [productId(0)] },
        },
      },
      { row: null },
    );
    expect(output.warnings).toEqual([]);
    expect(await jobRow(cloud, jobId)).toMatchObject({ status: 'completed' });
    const [point] = [...(await pointsOf(cloud, 'upper')).values()];
    expect(point?.payload.job_id).toBe(jobId);
  });
});

test.concurrent('the smallest batch and a batch larger than the job give the same points', async () => {
  const [small, large] = await Promise.all([
    products('batches of one', [0, 1], { batch_size: 1 }),
    products('one batch', [0, 1], { batch_size: 64 }),
  ]);
  expect(small.output.model).toBe(large.output.model);
  const [a, b] = [await pointsOf(cloud, 'batches of one'), await pointsOf(cloud, 'one batch')];
  expect([...a.keys()].sort()).toEqual([...b.keys()].sort());
  for (const [id, { vector }] of a) {
    const other = b.get(id)?.vector ?? [];
    expect(vector.reduce((sum, value, i) => sum + value * (other[i] ?? 0), 0)).toBeGreaterThan(0.9999);
  }
});

test.concurrent('a matching job that names one collection for both kinds gets one with both', async () => {
  await addCutouts(
    cloud,
    range(0, 2),
    (i) => i,
    () => ({ merchant: 'One' }),
  );
  const { output } = await runJob(cloud, {
    purpose: 'matching',
    collection_name: 'one for both',
    source_config: {
      filters: {
        product_source: 'selected',
        product_ids: [productId(0)],
        cutout_merchant_names: ['One'],
      },
    },
  });
  expect(Object.keys(output.collections)).toEqual(['one for both']);
  expect(await imagesIn(cloud, 'one for both')).toEqual(
    [`${productId(0)}_synthetic_0`, cutoutId(0), cutoutId(1)].sort(),
  );
});

test.concurrent('two jobs that make and fill the same collection at the same time both succeed', async () => {
  const runs = await Promise.all([products('raced', [0, 1]), products('raced', [1, 2])]);
  for (const { output } of runs) {
    expect(output).toMatchObject({ status: 'success', processed_count: 6, warnings: [] });
  }
  expect((await pointsOf(cloud, 'raced')).size).toBe(9);
});

test.concurrent('a job that failed and runs again leaves no trace of its failure', async () => {
  const path = `/frames/${productId(30)}/frame_0000.png`;
  const jobId = randomUUID();
  await addProducts(cloud, [30]);
  const input = {
    job_id: jobId,
    source_config: {
      type: 'products',
      product_collection: 'second try',
      filters: { product_source: 'selected', product_ids: [productId(30)] },
    },
  };
  cloud.images.misbehave(path, { status: 404 });
  const failed = await runJob(cloud, input);
  expect(failed.output.status).toBe('error');
  const first = await jobRow(cloud, jobId);
  expect(first.status).toBe('failed');
  cloud.images.recover(path);
  const second = await runJob(cloud, input);
  expect(second.output).toMatchObject({ status: 'success', processed_count: 1 });
  expect(await jobRow(cloud, jobId)).toMatchObject({
    status: 'completed',
    error_message: null,
    processed_images: 1,
    started_at: first.started_at,
  });
  expect(await cloud.supabase.sql('select * from embedding_job_failures where job_id = $1', [jobId])).toEqual(
    [],
  );
});

test.concurrent(
  'two pictures that share an id and both fail are two rows of the table of failures',
  async () => {
    const url = (name: string): string => `${cloud.images.url}/gone/${name}.png`;
    const { output, jobId } = await runJob(cloud, {
      collection_name: 'twins',
      images: [
        { id: 'twin', url: url('a'), type: 'product' },
        { id: 'twin', url: url('b'), type: 'product' },
        { id: 'other', url: `${cloud.images.url}/many/1.png`, type: 'product' },
      ],
    });
    expect(output).toMatchObject({ processed_count: 1, failed_by_code: { http_404: 2 }, warnings: [] });
    const rows = await cloud.supabase.sql(
      'select url from embedding_job_failures where job_id = $1 order by url',
      [jobId],
    );
    expect(rows).toEqual([{ url: url('a') }, { url: url('b') }]);
  },
);

test.concurrent.each([
  ['a zero character in its address', { url: 'http://127.0.0.1:9/a\0b' }],
  ['a zero character in its id', { id: 'a\0b' }],
  ['half a character where what is told of its address is cut', { url: `x:${'a'.repeat(497)}🍰🍰` }],
  ['half a character in its id', { id: '\ud83c' }],
  ['half a character in its address', { url: `${cloud.images.url}/many/2.png?\ud83c` }],
  [
    'half a character in its metadata',
    { metadata: { note: '\ud83c' }, url: `${cloud.images.url}/many/3.png` },
  ],
  ['a zero character in the path of its file', { url: 'a\0b.png' }],
  ['half a character in the path of its file', { url: 'a\ud83c.png' }],
  ['an id of thousands of characters', { id: Array.from({ length: 9_000 }, () => randomUUID()[0]).join('') }],
])('a picture with %s fails alone, and is told of beside the others', async (_, odd) => {
  const images = [
    { id: 'gone', type: 'product', url: `${cloud.images.url}/gone/c.png` },
    { id: 'not stored', type: 'product', url: 'gone.png' },
    { id: 'fine', type: 'product', url: `${cloud.images.url}/many/1.png` },
    { id: 'odd', type: 'product', url: `${cloud.images.url}/gone/d.png`, ...odd },
  ];
  const { output, jobId } = await runJob(cloud, { collection_name: 'odd texts', images });
  expect(output).toMatchObject({ status: 'success', processed_count: 1, failed_count: 3, warnings: [] });
  const rows = await cloud.supabase.sql(
    `select image_id, code from embedding_job_failures where job_id = $1 and image_id in ('gone', 'not stored')`,
    [jobId],
  );
  expect(rows).toHaveLength(2);
  const all = await cloud.supabase.sql('select 1 from embedding_job_failures where job_id = $1', [jobId]);
  expect(all).toHaveLength(3);
});
