import { afterAll, beforeAll, expect, test } from '@jest/globals';

import {
  addCutouts,
  addProducts,
  askQdrant,
  cutoutId,
  imagesIn,
  jobRow,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type JobRun,
} from '../support/job.ts';

let cloud: JobCloud;

beforeAll(async () => {
  cloud = await startJobCloud();
  await addProducts(cloud, range(0, 4));
  await addCutouts(cloud, range(0, 6), (i) => i % 4);
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const append = (products: string, cutouts: string, source: object = {}): Promise<JobRun> =>
  runJob(cloud, {
    purpose: 'matching',
    source_config: {
      type: 'both',
      append_only_new: true,
      frame_selection: 'all',
      product_collection: products,
      cutout_collection: cutouts,
      ...source,
    },
  });

test('appending to nothing makes everything, once more looks at everything and writes nothing, then only what is new comes', async () => {
  const first = await append('products', 'cutouts');
  expect(first.output).toMatchObject({ status: 'success', processed_count: 4 * 3 + 6, failed_count: 0 });
  const [products, cutouts] = [await pointsOf(cloud, 'products'), await pointsOf(cloud, 'cutouts')];

  const downloads = cloud.images.count;
  const second = await append('products', 'cutouts');
  expect(second.output).toMatchObject({
    status: 'success',
    processed_count: 0,
    unchanged_count: 18,
    failed_count: 0,
    total_images: 18,
    cutouts_marked: 0,
    collections: {
      products: { total: 12, unchanged: 12, points_written: 0 },
      cutouts: { total: 6, unchanged: 6, points_written: 0 },
    },
    skipped: { already_in_collection: 4 * 3 + 6 },
    warnings: [],
  });
  expect(second.output.error).toBeUndefined();
  expect(second.progress.at(-1)).toMatchObject({ processed: 18, total: 18, failed: 0 });
  expect(await jobRow(cloud, second.jobId)).toMatchObject({
    status: 'completed',
    total_images: 18,
    processed_images: 18,
  });
  expect(cloud.images.count).toBe(downloads + 18);
  // The points are the same ones, still of the first job.
  expect(await pointsOf(cloud, 'products')).toEqual(products);
  expect(await pointsOf(cloud, 'cutouts')).toEqual(cutouts);
  const rows = await cloud.supabase.sql('select name, vector_count from embedding_collections order by name');
  expect(rows).toEqual([
    { name: 'cutouts', vector_count: 6 },
    { name: 'products', vector_count: 12 },
  ]);

  await addProducts(cloud, [4]);
  await addCutouts(cloud, [6], () => 4);
  const trusting = await append('products', 'cutouts', { append_trust_points: true });
  expect(trusting.output).toMatchObject({
    status: 'success',
    processed_count: 4,
    unchanged_count: 0,
    total_images: 4,
    skipped: { already_in_collection: 18 },
  });
  expect(await jobRow(cloud, trusting.jobId)).toMatchObject({ total_images: 4, processed_images: 4 });
  expect(cloud.images.count).toBe(downloads + 18 + 4);
  const added = range(0, 3).map((frame) => `${productId(4)}_synthetic_${frame}`);
  const before = [...products.values()].map(({ payload }) => String(payload.id));
  expect(await imagesIn(cloud, 'products')).toEqual([...before, ...added].sort());
  expect(await imagesIn(cloud, 'cutouts')).toContain(cutoutId(6));
});

test('a failed image is no point, so the next append takes it again', async () => {
  const path = `/frames/${productId(2)}/frame_0001.png`;
  cloud.images.misbehave(path, { status: 404 });
  const first = await append('with_a_gap', 'cutouts');
  expect(first.output).toMatchObject({ failed_count: 1, failed_by_code: { http_404: 1 } });
  expect(await imagesIn(cloud, 'with_a_gap')).not.toContain(`${productId(2)}_synthetic_1`);
  cloud.images.recover(path);
  const second = await append('with_a_gap', 'cutouts');
  expect(second.output).toMatchObject({ status: 'success', processed_count: 1, failed_count: 0 });
  const { total_images: total, unchanged_count: unchanged } = second.output;
  expect(total).toBe(unchanged + 1);
  expect(await imagesIn(cloud, 'with_a_gap')).toContain(`${productId(2)}_synthetic_1`);
});

/** Points by image, without those that this run has written. */
const payloads = async (collection: string) =>
  new Map(
    [...(await pointsOf(cloud, collection)).values()].map((point) => [String(point.payload.id), point]),
  );

test('an image whose bytes have changed since is embedded again, and one that has not is left alone', async () => {
  const { jobId } = await append('changing_products', 'changing_cutouts');
  const before = await payloads('changing_products');
  const cutoutsBefore = await payloads('changing_cutouts');
  const changed = `${productId(1)}_synthetic_2`;
  cloud.images.misbehave(`/frames/${productId(1)}/frame_0002.png`, {
    body: await cloud.images.picture(`/frames/${productId(9)}/frame_0007.png`),
    type: 'image/png',
  });
  const cutout = cutoutId(2);
  cloud.images.misbehave(`/cutouts/${productId(2)}/2.jpg`, {
    body: await cloud.images.picture(`/cutouts/${productId(8)}/2.jpg`),
    type: 'image/jpeg',
  });
  // Marked as if by another model's job, and an unchanged one that nobody has marked.
  await cloud.supabase.sql('update cutout_images set has_embedding = false where id in ($1, $2)', [
    cutout,
    cutoutId(3),
  ]);

  const again = await append('changing_products', 'changing_cutouts');
  const total = before.size + cutoutsBefore.size;
  expect(again.output).toMatchObject({
    status: 'success',
    processed_count: 2,
    unchanged_count: total - 2,
    failed_count: 0,
    total_images: total,
    cutouts_marked: 2,
    skipped: { already_in_collection: total - 2 },
  });
  const after = await payloads('changing_products');
  for (const [id, point] of before) {
    if (id !== changed) expect(after.get(id)).toEqual(point);
  }
  expect(after.get(changed)?.id).toBe(before.get(changed)?.id);
  expect(after.get(changed)?.vector).not.toEqual(before.get(changed)?.vector);
  expect(after.get(changed)?.payload).toMatchObject({ job_id: again.jobId });
  expect(after.get(changed)?.payload.content).not.toBe(before.get(changed)?.payload.content);
  expect((await payloads('changing_cutouts')).get(cutout)?.payload.job_id).toBe(again.jobId);
  expect((await payloads('changing_cutouts')).get(cutoutId(3))?.payload.job_id).toBe(jobId);
  const unmarked = await cloud.supabase.sql('select id from cutout_images where not has_embedding');
  expect(unmarked).toEqual([]);

  cloud.images.recover(`/frames/${productId(1)}/frame_0002.png`);
  cloud.images.recover(`/cutouts/${productId(2)}/2.jpg`);
}, 60_000);

test('an image that is gone, whose point stands, is told as failed; the point and the mark stay', async () => {
  await append('gone_products', 'gone_cutouts');
  const before = await payloads('gone_cutouts');
  cloud.images.misbehave(`/cutouts/${productId(1)}/1.jpg`, { status: 404 });
  const { output, jobId } = await append('gone_products', 'gone_cutouts');
  expect(output).toMatchObject({
    status: 'success',
    processed_count: 0,
    failed_count: 1,
    failed_images: [{ id: cutoutId(1), code: 'http_404' }],
  });
  expect(output.total_images).toBe(output.unchanged_count + 1);
  expect(await jobRow(cloud, jobId)).toMatchObject({
    status: 'completed',
    total_images: output.total_images,
    processed_images: output.total_images,
  });
  expect(await payloads('gone_cutouts')).toEqual(before);
  expect(
    await cloud.supabase.sql('select has_embedding from cutout_images where id = $1', [cutoutId(1)]),
  ).toEqual([{ has_embedding: true }]);
  cloud.images.recover(`/cutouts/${productId(1)}/1.jpg`);
}, 60_000);

test('a product that has points of the worker before us is left out whole, whatever their ids; others are not', async () => {
  const dim = (await append('products', 'cutouts')).output.embedding_dim ?? 0;
  await askQdrant(cloud, 'PUT', '/collections/old', { vectors: { size: dim, distance: 'Cosine' } });
  const vector = Array.from({ length: dim }, (_, i) => (i === 0 ? 1 : 0));
  await askQdrant(cloud, 'PUT', '/collections/old/points?wait=true', {
    points: [
      // One frame of product 1 under an id of its own; a pair's cutout names product 2 without being one of its images.
      { id: 1, vector, payload: { source: 'product', product_id: productId(1) } },
      { id: 2, vector, payload: { source: 'cutout', product_id: productId(2) } },
    ],
  });
  const { output } = await append('old', 'cutouts');
  expect(output).toMatchObject({ status: 'success', processed_count: 4 * 3 });
  expect(output.warnings).toEqual([expect.stringMatching(/^collection old holds points without a model/)]);
  const stored = await imagesIn(cloud, 'old');
  expect(stored.some((id) => id.startsWith(productId(1)))).toBe(false);
  expect(stored.filter((id) => id.startsWith(productId(2)))).toHaveLength(3);
});
