import { expect, test } from '@jest/globals';

import { costsOf, requestsOf, type ScaleInputs } from '../../scripts/scale/costs.ts';
import { measure } from '../../scripts/scale/measure.ts';

const INPUTS: ScaleInputs = {
  images: 1e8,
  cutoutShare: 0.5,
  imagesPerProduct: 1,
  rate: 400,
  workers: 50,
  shards: 400,
  startSeconds: 60,
  imageBytes: 170_000,
  dim: 768,
  payloadBytes: 440,
};

test('a hundred million images, by hand', () => {
  const { workerHours, wallHours, gigabitsPerSecond, requests, qdrant } = costsOf(INPUTS);
  // 1e8 / 400 seconds, and a minute to start each of fifty.
  expect(workerHours).toBeCloseTo((250_000 + 3_000) / 3_600);
  expect(wallHours).toBeCloseTo(workerHours / 50);
  expect(gigabitsPerSecond).toBeCloseTo(50 * 400 * 170_000 * 8e-9);
  // A shard has 125,000 products and as many cutouts: 125 pages and an empty one of each, twice.
  expect(requests.supabaseReads).toBe(400 * 4 * 126);
  expect(requests.supabaseMarks).toBe(400 * 977);
  expect(requests.qdrantUpserts).toBe(400 * 2 * 977);
  expect(qdrant.vectorsGiB).toBeCloseTo((1e8 * 768 * 4) / 2 ** 30);
  expect(qdrant.quantisedGiB).toBeCloseTo(qdrant.vectorsGiB / 4);
});

test('more workers than shards have nothing to do', () => {
  expect(costsOf({ ...INPUTS, workers: 1_000 })).toEqual(costsOf({ ...INPUTS, workers: 400 }));
});

test('a real job asks what is counted', async () => {
  const products = 150;
  const measured = await measure(products);
  const counted = requestsOf({ ...INPUTS, images: 2 * products, shards: 1 }, 0);
  expect(measured.images).toBe(counted.images);
  expect(measured.supabaseReads).toBe(counted.supabaseReads);
  // Two collections are written side by side, and their last writes may be shorter.
  expect(Math.abs(measured.qdrantUpserts - counted.qdrantUpserts)).toBeLessThanOrEqual(2);
  expect(Math.abs(measured.supabaseMarks - counted.supabaseMarks)).toBeLessThanOrEqual(1);
}, 60_000);
