import { afterAll, beforeAll, expect, test } from '@jest/globals';

import {
  addCutouts,
  addProducts,
  askQdrant,
  cutoutId,
  imagesIn,
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

const append = (products: string, cutouts: string): Promise<JobRun> =>
  runJob(cloud, {
    purpose: 'matching',
    source_config: {
      type: 'both',
      append_only_new: true,
      frame_selection: 'all',
      product_collection: products,
      cutout_collection: cutouts,
    },
  });

test('appending to nothing makes everything, once more adds nothing and downloads nothing, then only what is new comes', async () => {
  const first = await append('products', 'cutouts');
  expect(first.output).toMatchObject({ status: 'success', processed_count: 4 * 3 + 6, failed_count: 0 });
  const [products, cutouts] = [await pointsOf(cloud, 'products'), await pointsOf(cloud, 'cutouts')];

  const downloads = cloud.images.count;
  const second = await append('products', 'cutouts');
  expect(second.output).toMatchObject({
    status: 'success',
    processed_count: 0,
    failed_count: 0,
    total_images: 0,
    cutouts_marked: 0,
    skipped: { already_in_collection: 4 * 3 + 6 },
  });
  expect(second.output.error).toBeUndefined();
  expect(cloud.images.count).toBe(downloads);
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
  const third = await append('products', 'cutouts');
  expect(third.output).toMatchObject({
    status: 'success',
    processed_count: 4,
    total_images: 4,
    skipped: { already_in_collection: 18 },
  });
  expect(cloud.images.count).toBe(downloads + 4);
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
  expect(await imagesIn(cloud, 'with_a_gap')).toContain(`${productId(2)}_synthetic_1`);
});

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
