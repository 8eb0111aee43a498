import { afterAll, expect, test } from '@jest/globals';

import type { StatelessOutput } from '../../src/embedding/stateless.ts';
import { cutoutJob } from '../support/cutout-job.ts';
import { jobRow, pointsOf, range, runJob, startJobCloud, type JobCloud } from '../support/job.ts';

const cloud: JobCloud = await startJobCloud();

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const IMAGES = 60;
const URLS = 4;
const BROKEN = 3;
/** Sixty images with four urls; the fourth is not there. */
const imagesIn = (folder: string, ids: string) =>
  range(0, IMAGES).map((i) => ({
    id: `${ids} ${i}`,
    type: 'product',
    url: `${cloud.images.url}/frames/${folder}/frame_${String(i % URLS).padStart(4, '0')}.png`,
  }));
const breakOne = (folder: string): void =>
  cloud.images.misbehave(`/frames/${folder}/frame_000${BROKEN}.png`, { status: 404 });
const downloads = (folder: string): number[] =>
  [...cloud.images.requests].flatMap(([path, count]) => (path.includes(`/${folder}/`) ? [count] : []));

test('a stored job fetches and embeds a url once, and writes a point for each image that has it', async () => {
  breakOne('stored');
  const { jobId, collection } = await cutoutJob(cloud, 0);
  const { output } = await runJob(cloud, {
    job_id: jobId,
    collection_name: collection,
    images: imagesIn('stored', 'stored'),
  });
  expect(downloads('stored')).toEqual([1, 1, 1, 1]);
  expect(output).toMatchObject({
    status: 'success',
    processed_count: 45,
    failed_count: 15,
    same_url_count: IMAGES - URLS,
    total_images: IMAGES,
    failed_by_code: { http_404: 15 },
  });
  expect(await jobRow(cloud, jobId)).toMatchObject({ status: 'completed', processed_images: IMAGES });
  const points = [...(await pointsOf(cloud, collection)).values()];
  expect(points.map(({ payload }) => payload.id).sort()).toEqual(
    range(0, IMAGES)
      .filter((i) => i % URLS !== BROKEN)
      .map((i) => `stored ${i}`)
      .sort(),
  );
  const byUrl = Map.groupBy(points, ({ payload }) => payload.url);
  expect(byUrl.size).toBe(URLS - 1);
  for (const same of byUrl.values()) {
    expect(new Set(same.map(({ vector }) => JSON.stringify(vector))).size).toBe(1);
    expect(new Set(same.map(({ payload }) => payload.content)).size).toBe(1);
  }
  expect(new Set(points.map(({ vector }) => JSON.stringify(vector))).size).toBe(URLS - 1);
  const failures = await cloud.supabase.sql(
    'select image_id from embedding_job_failures where job_id = $1 and code = $2',
    [jobId, 'http_404'],
  );
  expect(failures).toHaveLength(15);
});

test('so does a stateless job', async () => {
  breakOne('stateless');
  const { output } = await runJob<StatelessOutput>(
    cloud,
    { job_id: null, images: imagesIn('stateless', 'any') },
    { row: null },
  );
  expect(downloads('stateless')).toEqual([1, 1, 1, 1]);
  expect(output).toMatchObject({
    status: 'success',
    processed_count: 45,
    failed_count: 15,
    same_url_count: IMAGES - URLS,
  });
  expect(output.embeddings.map(({ id }) => id)).toEqual(
    range(0, IMAGES)
      .filter((i) => i % URLS !== BROKEN)
      .map((i) => `any ${i}`),
  );
  expect(output.embeddings[4]?.vector).toEqual(output.embeddings[1]?.vector);
  expect(output.embeddings[2]?.vector).not.toEqual(output.embeddings[1]?.vector);
});
