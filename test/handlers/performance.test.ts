import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createEmbeddingHandler } from '../../handlers/embedding.ts';
import type { JobPerformance } from '../../src/embedding/job-stats.ts';
import type { StatelessOutput } from '../../src/embedding/stateless.ts';
import { createEmbeddingTools } from '../../src/embedding/tools.ts';
import { sleep } from '../../src/flow/time.ts';
import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { modelFolder, SMALL } from '../model/support.ts';
import { addProducts, range, runJob, startJobCloud, type JobCloud, type JobRun } from '../support/job.ts';
import { testProxy, type TestProxy } from '../support/proxy.ts';

/** Slow enough that what the rest of a small job takes plays no part, on a busy machine too. */
const SLOW_MS = 150;
const IMAGES = 24;

let cloud: JobCloud;

beforeAll(async () => {
  cloud = await startJobCloud();
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

/** A server in front of another one that takes its time with some of what it is asked. */
async function slowly(url: string, isSlow: (method: string) => boolean = () => true): Promise<TestProxy> {
  const proxy = await testProxy(url);
  proxy.intercept = async ({ method }) => {
    if (isSlow(method)) await sleep(SLOW_MS);
    return undefined;
  };
  return proxy;
}

/** A job of its own products, a frame each. */
async function embed(
  first: number,
  input: Record<string, unknown> = {},
  options: { images?: string; handler?: typeof cloud.handler } = {},
): Promise<JobRun> {
  const { images = cloud.images.url, handler = cloud.handler } = options;
  const ids = await addProducts(cloud, range(first, first + IMAGES), (i) => ({
    frames_path: `${images}/frames/${i}`,
    frame_count: 1,
  }));
  const source = {
    type: 'products',
    product_collection: `c${first}`,
    filters: { product_source: 'selected', product_ids: ids },
  };
  return runJob(cloud, { source_config: source, ...input }, { handler });
}

/** Shares that make up the whole, whatever the job was. */
function expectWhole({ seconds, stages }: JobPerformance): void {
  expect(Object.keys(stages)).toEqual(['list', 'download', 'decode', 'embed', 'write']);
  let limiting = 0;
  for (const stage of Object.values(stages)) {
    const sum = stage.working_seconds + stage.waiting_seconds + stage.held_back_seconds;
    expect(sum).toBeCloseTo(seconds, 1);
    expect(stage.waiting_share).toBeCloseTo(1 - stage.working_seconds / seconds, 1);
    limiting += stage.limiting_share;
  }
  expect(limiting).toBeGreaterThan(0.5);
  expect(limiting).toBeLessThanOrEqual(1.01);
}

test('an image host with latency: downloads hold the others back', async () => {
  await using images = await slowly(cloud.images.url);
  const handler = createEmbeddingHandler({ ...cloud.tools, limits: { ...cloud.tools.limits, downloads: 2 } });
  const { output } = await embed(100, {}, { images: images.url, handler });
  const { performance } = output;
  expect(performance.limited_by).toBe('download');
  expect(performance.stages.download).toMatchObject({ at_once: 2 });
  expect(performance.stages.download?.limiting_share).toBeGreaterThan(0.5);
  expect(performance.stages.embed?.waiting_share).toBeGreaterThan(0.5);
  expectWhole(performance);
});

test('a slow store: writes do', async () => {
  await using qdrant = await slowly(cloud.qdrant.url, (method) => method === 'PUT');
  const limits = { ...cloud.tools.limits, writes: 1, writeSize: 2 };
  const handler = createEmbeddingHandler({ ...cloud.tools, limits });
  const { output } = await embed(200, { qdrant_url: qdrant.url }, { handler });
  const { performance } = output;
  expect(performance.limited_by).toBe('write');
  expect(performance.stages.write?.limiting_share).toBeGreaterThan(0.5);
  expect(performance.stages.embed?.held_back_seconds).toBeGreaterThan(0);
  expectWhole(performance);
});

test('a slow model: the model does', async () => {
  // 1,025 tokens an image on one thread.
  const preprocessing = { ...SMALL, resize: { kind: 'exact', width: 256, height: 256 } } as const;
  await using models = await modelFolder('dinov2-small', buildTinyVit({ size: 256, dim: 64 }), preprocessing);
  await using tools = createEmbeddingTools({
    ...cloud.tools.settings,
    MODEL_DIR: models.path,
    INFERENCE_THREADS: 1,
  });
  const handler = createEmbeddingHandler(tools);
  const { output } = await embed(300, { model_type: 'dinov2-small' }, { handler });
  const { performance } = output;
  expect(performance.limited_by).toBe('embed');
  expectWhole(performance);
});

test('speed, bytes, retries and memory stand in the output, and once in the log', async () => {
  const path = '/frames/400/frame_0000.png';
  const begun = Date.now();
  let refused = 0;
  await using images = await testProxy(cloud.images.url);
  images.intercept = (request) => Promise.resolve(request.path === path && refused++ < 2 ? 503 : undefined);
  await using qdrant = await testProxy(cloud.qdrant.url);
  let cut = 0;
  qdrant.intercept = ({ method }) => Promise.resolve(method === 'PUT' && cut++ < 1 ? 'drop' : undefined);
  await using supabase = await testProxy(cloud.supabase.url);
  let away = 0;
  supabase.intercept = ({ method }) => Promise.resolve(method === 'GET' && away++ < 1 ? 503 : undefined);
  const stores = { qdrant_url: qdrant.url, supabase_url: supabase.url };
  const { output, lines } = await embed(400, stores, { images: images.url });
  const seconds = (Date.now() - begun) / 1_000;
  const { performance } = output;
  expect(output).toMatchObject({ status: 'success', processed_count: IMAGES });
  const files = await Promise.all(
    range(400, 400 + IMAGES).map((i) => cloud.images.picture(`/frames/${i}/frame_0000.png`)),
  );
  expect(performance.downloaded_bytes).toBe(files.reduce((sum, file) => sum + file.length, 0));
  expect(performance.retries).toEqual({ images: 2, supabase: 1, qdrant: 1 });
  expect(performance.seconds).toBeLessThan(seconds);
  expect(performance.images_per_second).toBeCloseTo(IMAGES / performance.seconds, 0);
  expect(performance.memory_peak_bytes).toBeGreaterThan(20 * 2 ** 20);
  expect(performance.memory_peak_bytes).toBeLessThanOrEqual(process.resourceUsage().maxRSS * 1_024);
  const told = lines.filter(({ message }) => message === 'Performance');
  expect(told).toEqual([expect.objectContaining({ ...performance })]);
  expectWhole(performance);
});

test('a job that stops early tells it too, and one that never began', async () => {
  const stop = new AbortController();
  const release = cloud.images.hold();
  const running = runJob(
    cloud,
    {
      images: [{ id: 'a', url: `${cloud.images.url}/many/1.png`, type: 'product' }],
      collection_name: 'early',
    },
    { signal: stop.signal },
  );
  await cloud.images.waiting(1);
  stop.abort(new Error('enough'));
  const { output, messages } = await running;
  release();
  expect(output).toMatchObject({
    status: 'cancelled',
    // Stopped at once, it may have spent as long on any of its stages.
    performance: { limited_by: expect.any(String), images_per_second: 0 },
  });
  expect(messages.filter((message) => message === 'Performance')).toHaveLength(1);
  const { output: refused } = await embed(500, { embedding_dim: 3 });
  expect(refused).toMatchObject({
    status: 'error',
    performance: { limited_by: null, images_per_second: 0, seconds: 0, stages: {} },
  });
});

test('a job without a row tells the same', async () => {
  const images = range(0, 3).map((i) => ({
    id: `${i}`,
    url: `${cloud.images.url}/many/${i}.png`,
    type: 'product',
  }));
  const { output, messages } = await runJob<StatelessOutput>(cloud, { job_id: null, images }, { row: null });
  expectWhole(output.performance);
  expect(output.performance.images_per_second).toBeGreaterThan(0);
  expect(messages.filter((message) => message === 'Performance')).toHaveLength(1);
});

test('a job without a row counts what it asks the storage again', async () => {
  const path = 'many/1.png';
  await cloud.supabase.database.ensureBucket({ bucket: 'frames' });
  const body = await cloud.images.picture(`/${path}`);
  await cloud.supabase.database.upload({ bucket: 'frames', path, body, contentType: 'image/png' });
  await using supabase = await testProxy(cloud.supabase.url);
  let away = 0;
  supabase.intercept = ({ method }) => Promise.resolve(method === 'POST' && away++ < 2 ? 503 : undefined);
  const images = [{ id: 'a', url: path, type: 'product' }];
  const input = { job_id: null, images, supabase_url: supabase.url };
  const { output } = await runJob<StatelessOutput>(cloud, input, { row: null });
  expect(output).toMatchObject({
    processed_count: 1,
    performance: { retries: { images: 0, supabase: 2, qdrant: 0 } },
  });
});

test('how much runs at once is logged once for a model, with what each number was chosen by', async () => {
  await using tools = createEmbeddingTools(
    { ...cloud.tools.settings, BATCH_SIZE: 3, INFERENCE_SESSIONS: 2, DOWNLOAD_CONCURRENCY: 5 },
    { cores: 4, freeMemoryBytes: 512 * 2 ** 20 },
  );
  const handler = createEmbeddingHandler(tools);
  const first = await embed(600, {}, { handler });
  const second = await embed(700, {}, { handler });
  const chosen = [first, second].map(({ lines }) =>
    lines.filter(({ message }) => message === 'Sizes chosen'),
  );
  expect(chosen[0]).toEqual([
    expect.objectContaining({
      cores: 4,
      free_memory_mib: 512,
      provider: 'cpu',
      downloads: '5 (DOWNLOAD_CONCURRENCY)',
      decoders: '4 (cores)',
      decode_mib: '128 (memory)',
      sessions: '2 (INFERENCE_SESSIONS)',
      batch_size: '3 (BATCH_SIZE)',
      writes: '3 (default)',
    }),
  ]);
  expect(chosen[1]).toEqual([]);
  const { lines } = await embed(800, { batch_size: 2 }, { handler });
  expect(lines.find(({ message }) => message === 'Sizes chosen')).toMatchObject({
    batch_size: '2 (batch_size of the job)',
  });
});
