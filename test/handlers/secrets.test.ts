import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createEmbeddingHandler } from '../../handlers/embedding.ts';
import { createImageSource } from '../../src/image/source.ts';
import {
  addCutouts,
  addProducts,
  collectionsIn,
  insertRows,
  MODEL_ID,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
} from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

/** Of no known form, so that nothing but its place gives it away. */
const HUB_TOKEN = 'hub-token-of-nobody-4711';
const WRONG_KEY = 'plainly-wrong-key-4712';
const MAX_BYTES = 20_000;

let cloud: JobCloud;
/** Everything that was said: log lines, outputs, errors. */
const said: string[] = [];

beforeAll(async () => {
  cloud = await startJobCloud();
  await addProducts(cloud, range(0, 3));
  await addCutouts(cloud, range(0, 3), (i) => i);
  const stored = [
    ['good.png', await cloud.images.picture('/many/1.png')],
    ['page.png', Buffer.from('<!doctype html>')],
    ['huge.png', Buffer.alloc(MAX_BYTES + 1, 1)],
    ['half.png', (await cloud.images.picture('/many/2.png')).subarray(0, 300)],
  ] as const;
  for (const [path, body] of stored) {
    await cloud.supabase.database.upload({ bucket: 'frames', path, body, contentType: 'image/png' });
  }
  await insertRows(
    cloud,
    'product_images',
    ['good.png', 'page.png', 'huge.png', 'half.png', 'gone.png'].map((image_path, i) => ({
      id: `a0000000-0000-4000-8000-00000000000${i}`,
      product_id: productId(0),
      image_type: 'real',
      source: 'matching',
      image_path,
      image_url: null,
      frame_index: i,
    })),
  );
  await cloud.supabase.database.ensureBucket({ bucket: 'checkpoints' });
  await cloud.supabase.database.upload({
    bucket: 'checkpoints',
    path: 'page.onnx',
    body: Buffer.from('<!doctype html>'),
    contentType: 'application/octet-stream',
  });
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

async function run(input: Record<string, unknown>): Promise<string | undefined> {
  const source = createImageSource({ http: cloud.tools.http, maxBytes: MAX_BYTES });
  const handler = createEmbeddingHandler({ ...cloud.tools, source });
  try {
    const everything = { hf_token: HUB_TOKEN, api_token: HUB_TOKEN, ...input };
    const { output, lines } = await runJob(cloud, everything, {
      handler,
      onLine: (line) => said.push(JSON.stringify(line)),
    });
    expect(lines.length).toBeGreaterThan(0);
    said.push(JSON.stringify(output));
    return output.error_code;
  } catch (error) {
    said.push(String(error), JSON.stringify(error), String((error as Error).stack));
    return String((error as { code?: unknown }).code);
  }
}

test('no key, no token and no signed address is in a log line, an output, an error, a row or a payload', async () => {
  await using qdrant = await testProxy(cloud.qdrant.url);
  // Refuses points with an answer that quotes the request, as servers do.
  qdrant.intercept = ({ method, path }) =>
    Promise.resolve(method === 'PUT' && path.includes('/points') ? 400 : undefined);
  await using supabase = await testProxy(cloud.supabase.url);
  // Stored pictures cannot be signed, which fails them alone.
  supabase.intercept = ({ path }) => Promise.resolve(path.includes('/storage/') ? 400 : undefined);
  await using rude = await testProxy(cloud.supabase.url);
  rude.intercept = () => Promise.resolve(400);
  const both = {
    purpose: 'training',
    source_config: {
      type: 'both',
      frame_selection: 'all',
      filters: { image_types: ['synthetic', 'real'] },
      product_collection: 'secret_products',
      cutout_collection: 'secret_cutouts',
    },
    collection_metadata: { embedding_model_id: MODEL_ID },
  };
  const codes = await Promise.all([
    run(both),
    run({ ...both, qdrant_url: qdrant.url }),
    run({ ...both, supabase_url: supabase.url }),
    run({ ...both, qdrant_api_key: WRONG_KEY }),
    run({ ...both, supabase_service_key: WRONG_KEY }),
    run({ ...both, supabase_url: rude.url, supabase_service_key: WRONG_KEY }),
    run({ ...both, qdrant_url: rude.url, qdrant_api_key: WRONG_KEY }),
    run({ ...both, supabase_url: 'http://127.0.0.1:1', qdrant_url: 'http://127.0.0.1:1' }),
    run({ ...both, checkpoint_url: 'checkpoints/page.onnx' }),
    run({ ...both, checkpoint_url: 'checkpoints/gone.onnx' }),
    run({ ...both, purpose: 'fun', qdrant_api_key: `${WRONG_KEY} with blanks` }),
  ]);
  expect(codes).toEqual([
    undefined,
    'all_images_failed',
    undefined,
    'qdrant_unauthorized',
    'supabase_unauthorized',
    'supabase_rejected',
    'qdrant_rejected',
    'supabase_unreachable',
    'model_unreadable',
    'storage_not_found',
    'invalid_input',
  ]);

  const tables = [
    'embedding_jobs',
    'embedding_collections',
    'embedding_models',
    'embedding_job_failures',
    'cutout_images',
    'products',
    'product_images',
  ];
  const rows = await Promise.all(tables.map((table) => cloud.supabase.sql(`select * from ${table}`)));
  const points = await Promise.all((await collectionsIn(cloud)).map((name) => pointsOf(cloud, name)));
  const payloads = points.flatMap((some) => [...some.values()].map(({ payload }) => payload));
  expect(payloads.length).toBeGreaterThan(10);
  expect(said.length).toBeGreaterThan(50);

  const all = [...said, JSON.stringify(rows), JSON.stringify(payloads)];
  const secrets = [cloud.supabase.serviceKey, cloud.qdrant.apiKey, HUB_TOKEN, WRONG_KEY, 'token=', 'eyJ'];
  const leaks = all.flatMap((text) =>
    secrets.flatMap((secret) => {
      const at = text.indexOf(secret);
      return at === -1 ? [] : [text.slice(Math.max(0, at - 200), at + 60)];
    }),
  );
  expect(leaks).toEqual([]);
  // The search is not blind: what is no secret is found.
  expect(all.some((text) => text.includes('huge.png') && text.includes('too_large'))).toBe(true);
});
