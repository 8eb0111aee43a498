import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createEmbeddingHandler, type EmbeddingHandler } from '../../handlers/embedding.ts';
import { createHttp, type Http } from '../../src/http/http.ts';
import { describeFailure } from '../../src/image/codes.ts';
import { createImageSource } from '../../src/image/source.ts';
import type { Misbehaviour } from '../support/images.ts';
import {
  addCutouts,
  cutoutId,
  imagesIn,
  jobRow,
  pointsOf,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type JobRun,
} from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

const MAX_BYTES = 50_000;
/** The silent one takes so long; the others must not, on a busy machine either. */
const HEADERS_TIMEOUT_MS = 8_000;

/** What goes wrong with the cutouts from 100 on: how, the code, and whether a retry could help. */
const FAULTS: readonly (readonly [Misbehaviour, string, boolean])[] = [
  [{ status: 404 }, 'http_404', false],
  [{ status: 503 }, 'http_503', true],
  [{ body: '<!doctype html><title>Sign in</title>', type: 'image/jpeg' }, 'not_an_image', false],
  [{ body: '', type: 'image/jpeg' }, 'empty', false],
  [{ body: '<svg xmlns="http://www.w3.org/2000/svg"/>', type: 'image/svg+xml' }, 'unsupported_type', false],
  [{ body: Buffer.alloc(MAX_BYTES + 1, 0xff), type: 'image/jpeg' }, 'too_large', false],
  ['truncated', 'truncated', false],
  ['cut_off', 'network', true],
  ['silent', 'timeout', true],
];
/** Addresses that nothing is asked of, from 200 on. */
const ADDRESSES = [
  ['http://169.254.169.254/latest/meta-data/', 'blocked_address'],
  ['ftp://files.example.invalid/a.jpg', 'invalid_url'],
  ['data:image/png;base64,iVBORw0KGgo=', 'truncated'],
  ['nowhere/in/storage.jpg', 'storage_not_found'],
  ['', 'invalid_url'],
] as const;
const GOOD = range(0, 12);

let cloud: JobCloud;
let http: Http;
/** Gives up at once, so that a test need not wait. */
let handler: EmbeddingHandler;

beforeAll(async () => {
  cloud = await startJobCloud();
  http = createHttp({ allowPrivateHosts: true, attempts: 1, headersTimeoutMs: HEADERS_TIMEOUT_MS });
  const source = createImageSource({ http, maxBytes: MAX_BYTES });
  handler = createEmbeddingHandler({ ...cloud.tools, http, source });
}, 120_000);

afterAll(async () => {
  await http.close();
  await cloud[Symbol.asyncDispose]();
});

const pathOf = (url: unknown): string => new URL(String(url)).pathname;
const cutoutsJob = (collection: string, merchant: string) => ({
  purpose: 'matching',
  source_config: {
    type: 'cutouts',
    cutout_collection: collection,
    filters: { cutout_merchant_names: [merchant] },
  },
});

describe('broken files among good ones', () => {
  let run: JobRun;
  const broken = [
    ...FAULTS.map(([, code, retryable], i) => ({ id: cutoutId(100 + i), code, retryable })),
    ...ADDRESSES.map(([, code], i) => ({ id: cutoutId(200 + i), code, retryable: false })),
  ];

  beforeAll(async () => {
    const merchant = { merchant: 'Broken' };
    await addCutouts(
      cloud,
      GOOD,
      (i) => i,
      () => merchant,
    );
    await addCutouts(
      cloud,
      FAULTS.map((_, i) => 100 + i),
      (i) => i,
      () => merchant,
    );
    await addCutouts(
      cloud,
      ADDRESSES.map((_, i) => 200 + i),
      (i) => i,
      (i) => ({ ...merchant, image_url: ADDRESSES[i - 200]?.[0] }),
    );
    const rows = await cloud.supabase.sql(
      'select external_id, image_url from cutout_images where external_id between 100 and 199',
    );
    for (const { external_id, image_url } of rows) {
      const [how] = FAULTS[Number(external_id) - 100] ?? [];
      if (how !== undefined) cloud.images.misbehave(pathOf(image_url), how);
    }
    run = await runJob(cloud, cutoutsJob('broken', 'Broken'), { handler });
  }, 60_000);

  test('fail alone: the good ones are all there, and the job has succeeded', async () => {
    expect(run.output).toMatchObject({
      status: 'success',
      processed_count: GOOD.length,
      failed_count: broken.length,
      total_images: GOOD.length + broken.length,
      cutouts_marked: GOOD.length,
    });
    expect(run.output.error).toBeUndefined();
    expect(await imagesIn(cloud, 'broken')).toEqual(GOOD.map(cutoutId));
    expect(await jobRow(cloud, run.jobId)).toMatchObject({
      status: 'completed',
      processed_images: GOOD.length + broken.length,
      total_images: GOOD.length + broken.length,
    });
  });

  test('are named in the output, each with its code and whether a retry could help', () => {
    const told = run.output.failed_images.map(({ id, code, retryable }) => ({ id, code, retryable }));
    expect(told.sort((a, b) => a.id.localeCompare(b.id))).toEqual(broken);
    const counts: Record<string, number> = {};
    for (const { code } of broken) counts[code] = (counts[code] ?? 0) + 1;
    expect(run.output.failed_by_code).toEqual(counts);
  });

  test('have documented codes alone, and a reason for people', () => {
    for (const { code, message } of run.output.failed_images) {
      expect(describeFailure(code)).toBeDefined();
      expect(message.length).toBeGreaterThan(10);
    }
  });

  test('are all rows of the table of failures', async () => {
    const rows = await cloud.supabase.sql(
      `select image_id as id, code, retryable from embedding_job_failures where job_id = $1 order by image_id`,
      [run.jobId],
    );
    expect(rows).toEqual(broken);
  });

  test('are never marked', async () => {
    const rows = await cloud.supabase.sql(
      `select id from cutout_images where merchant = 'Broken' and (has_embedding or qdrant_point_id is not null) order by id`,
    );
    expect(rows.map(({ id }) => id)).toEqual(GOOD.map(cutoutId));
  });
});

test('where all images failed, the job has failed', async () => {
  await addCutouts(
    cloud,
    range(300, 303),
    (i) => i,
    () => ({ merchant: 'Gone', image_url: `${cloud.images.url}/nothing/here.jpg` }),
  );
  const { output, jobId } = await runJob(cloud, cutoutsJob('all_gone', 'Gone'), { handler });
  expect(output).toMatchObject({
    status: 'error',
    error_code: 'all_images_failed',
    processed_count: 0,
    failed_count: 3,
    failed_by_code: { http_404: 3 },
  });
  expect(output.error).toContain('all 3 images failed (http_404: 3)');
  const row = await jobRow(cloud, jobId);
  expect(row).toMatchObject({ status: 'failed', processed_images: 3, total_images: 3 });
  expect(row.error_message).toBe(output.error);
  expect(row.completed_at).not.toBeNull();
});

test('more failures than the output lists are counted, and all of them are in the table', async () => {
  await addCutouts(
    cloud,
    range(1_000, 1_250),
    (i) => i,
    () => ({ merchant: 'Many gone', image_url: `${cloud.images.url}/nothing/here.jpg` }),
  );
  const { output, jobId } = await runJob(cloud, cutoutsJob('many_gone', 'Many gone'), { handler });
  expect(output).toMatchObject({ failed_count: 250, failed_by_code: { http_404: 250 } });
  expect(output.failed_images).toHaveLength(100);
  const rows = await cloud.supabase.sql(
    'select count(*)::int as n from embedding_job_failures where job_id = $1',
    [jobId],
  );
  expect(rows).toEqual([{ n: 250 }]);
});

describe('a store that does not take a point', () => {
  beforeAll(async () => {
    await addCutouts(
      cloud,
      range(400, 420),
      (i) => i % 5,
      () => ({ merchant: 'Refused' }),
    );
  });

  test('fails that point alone, and its cutout is not marked', async () => {
    await using proxy = await testProxy(cloud.qdrant.url);
    const refused = [cutoutId(403), cutoutId(411)];
    proxy.intercept = ({ method, body }) =>
      Promise.resolve(method === 'PUT' && refused.some((id) => body.includes(id)) ? 400 : undefined);
    const { output } = await runJob(cloud, { ...cutoutsJob('refused', 'Refused'), qdrant_url: proxy.url });
    expect(output).toMatchObject({
      status: 'success',
      processed_count: 18,
      failed_by_code: { qdrant_rejected: 2 },
      cutouts_marked: 18,
    });
    expect(output.failed_images.map(({ id }) => id).sort()).toEqual(refused);
    expect([...(await pointsOf(cloud, 'refused')).keys()].sort()).toEqual(
      range(400, 420)
        .map(cutoutId)
        .filter((id) => !refused.includes(id)),
    );
    const rows = await cloud.supabase.sql(
      `select id from cutout_images where merchant = 'Refused' and not has_embedding order by id`,
    );
    expect(rows.map(({ id }) => id)).toEqual(refused);
  });

  test('and takes it when asked again, is asked again', async () => {
    await using proxy = await testProxy(cloud.qdrant.url);
    let unavailable = 2;
    proxy.intercept = ({ method, path }) =>
      Promise.resolve(method === 'PUT' && path.includes('/points') && unavailable-- > 0 ? 503 : undefined);
    const { output } = await runJob(cloud, { ...cutoutsJob('unsteady', 'Refused'), qdrant_url: proxy.url });
    expect(output).toMatchObject({ status: 'success', processed_count: 20, failed_count: 0 });
    expect(unavailable).toBeLessThan(0);
  });
});

test('a storage that signs nothing fails the stored pictures alone', async () => {
  await addCutouts(
    cloud,
    range(500, 504),
    (i) => i % 5,
    (i) => ({ merchant: 'Unsigned', ...(i >= 502 && { image_url: `stored/${i}.jpg` }) }),
  );
  await using proxy = await testProxy(cloud.supabase.url);
  proxy.intercept = ({ path }) => Promise.resolve(path.includes('/storage/') ? 400 : undefined);
  const { output } = await runJob(cloud, { ...cutoutsJob('unsigned', 'Unsigned'), supabase_url: proxy.url });
  expect(output).toMatchObject({
    status: 'success',
    processed_count: 2,
    failed_by_code: { supabase_rejected: 2 },
  });
  expect(output.failed_images.map(({ id }) => id).sort()).toEqual([cutoutId(502), cutoutId(503)]);
});
