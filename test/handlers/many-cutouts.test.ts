import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createEmbeddingHandler } from '../../handlers/embedding.ts';
import { readSettings } from '../../src/base/settings.ts';
import { createEmbeddingTools, type EmbeddingTools } from '../../src/embedding/tools.ts';
import { buildTinyClip } from '../../src/model/small/tiny-models.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import {
  jobRow,
  MODEL_ID,
  pointsOf,
  runJob,
  startJobCloud,
  type JobCloud,
  type JobRun,
} from '../support/job.ts';
import { testProxy, type TestProxy } from '../support/proxy.ts';

const CUTOUTS = 5_000;

/** The side of the demo model's input, for a model that costs next to nothing in its place. */
const SIDE_PX = 96;
const DIM = 12;

let cloud: JobCloud;
let modelDir: string;
let tools: EmbeddingTools;
let supabase: TestProxy;
let qdrant: TestProxy;
let run: JobRun;
const shown: number[] = [];

beforeAll(async () => {
  cloud = await startJobCloud();
  modelDir = await mkdtemp(join(tmpdir(), 'gpu-handlers-many-'));
  await mkdir(join(modelDir, 'demo'));
  await writeFile(
    join(modelDir, 'demo', 'model.onnx'),
    writeModel(buildTinyClip({ size: SIDE_PX, dim: DIM })),
  );
  tools = createEmbeddingTools({ ...readSettings({ MODEL_DIR: modelDir }), ALLOW_PRIVATE_HOSTS: true });
  [supabase, qdrant] = await Promise.all([testProxy(cloud.supabase.url), testProxy(cloud.qdrant.url)]);
  await cloud.supabase.sql(
    `insert into cutout_images (external_id, image_url)
     select i, '${cloud.images.url}/many/' || i || '.png' from generate_series(1, ${CUTOUTS}) i`,
  );
  supabase.intercept = ({ method, path, body }) => {
    if (method === 'PATCH' && path.includes('/embedding_jobs')) {
      const { processed_images: processed } = JSON.parse(body) as { processed_images?: number };
      if (processed !== undefined) shown.push(processed);
    }
    return Promise.resolve(undefined);
  };
  const input = {
    supabase_url: supabase.url,
    qdrant_url: qdrant.url,
    purpose: 'matching',
    batch_size: 64,
    embedding_dim: DIM,
    // What is marked meanwhile drops out of the filter, under the feet of the reader.
    source_config: {
      type: 'cutouts',
      cutout_collection: 'five_thousand',
      filters: { has_embedding: false },
    },
    collection_metadata: { embedding_model_id: MODEL_ID },
  };
  run = await runJob(cloud, input, { handler: createEmbeddingHandler(tools) });
}, 180_000);

afterAll(async () => {
  await tools.close();
  await rm(modelDir, { recursive: true });
  await supabase[Symbol.asyncDispose]();
  await qdrant[Symbol.asyncDispose]();
  await cloud[Symbol.asyncDispose]();
});

test('five thousand cutouts are all embedded, each once, and all marked', async () => {
  expect(run.output).toMatchObject({
    status: 'success',
    processed_count: CUTOUTS,
    failed_count: 0,
    total_images: CUTOUTS,
    cutouts_marked: CUTOUTS,
    warnings: [],
  });
  expect(cloud.images.requests.size).toBe(CUTOUTS);
  expect(cloud.images.count).toBe(CUTOUTS);
  const points = await pointsOf(cloud, 'five_thousand');
  const rows = await cloud.supabase.sql(
    'select id, image_url from cutout_images where has_embedding and qdrant_point_id = id',
  );
  expect(new Map([...points].map(([id, { payload }]) => [id, payload.url]))).toEqual(
    new Map(rows.map(({ id, image_url }) => [String(id), image_url])),
  );
  expect(points.size).toBe(CUTOUTS);
});

test('the progress never falls and ends at all of them', async () => {
  expect(shown).toEqual([...shown].sort((a, b) => a - b));
  expect(shown.at(-1)).toBe(CUTOUTS);
  const told = run.progress.map(({ processed }) => processed);
  expect(told).toEqual([...told].sort((a, b) => a - b));
  expect(run.progress.at(-1)).toEqual({ processed: CUTOUTS, total: CUTOUTS, failed: 0 });
  expect(await jobRow(cloud, run.jobId)).toMatchObject({
    status: 'completed',
    total_images: CUTOUTS,
    processed_images: CUTOUTS,
  });
});

test('pages, chunks and throttling keep the requests few', () => {
  const asked = (pattern: RegExp): number =>
    supabase.requests.filter(({ method, path }) => pattern.test(`${method} ${path}`)).length;
  // Two passes of five full pages and an empty one each, with room for another page size.
  expect(asked(/^GET .*\/cutout_images/)).toBeLessThanOrEqual(24);
  expect(asked(/^POST .*\/rpc\/mark_cutouts_embedded/)).toBeLessThanOrEqual(CUTOUTS / 64);
  expect(asked(/^PATCH .*\/cutout_images/)).toBe(0);
  // One a second, and those of the start and the end.
  expect(asked(/^PATCH .*\/embedding_jobs/)).toBeLessThanOrEqual(run.output.seconds + 4);
  expect(qdrant.requests.filter(({ method }) => method === 'PUT').length).toBeLessThanOrEqual(
    CUTOUTS / 64 + 6,
  );
});
