import { createHash } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { v5 as uuidV5 } from 'uuid';

import {
  addCutouts,
  addProducts,
  askQdrant,
  cutoutId,
  jobRow,
  MODEL_ID,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type JobRun,
  type TestPoint,
} from '../support/job.ts';

const PRODUCTS = 8;
const FRAMES = 3;
const CUTOUTS = 20;
/** Has no picture behind its address. */
const BROKEN = 19;
const ofProduct = (cutout: number): number => cutout % PRODUCTS;

let cloud: JobCloud;
let run: JobRun;
let products: Map<string, TestPoint>;
let cutouts: Map<string, TestPoint>;

beforeAll(async () => {
  cloud = await startJobCloud();
  await addProducts(cloud, range(0, PRODUCTS));
  await addCutouts(cloud, range(0, CUTOUTS), ofProduct, (i) => ({
    predicted_upc: i === 0 ? null : `upc-${i}`,
  }));
  cloud.images.misbehave(`/cutouts/${productId(ofProduct(BROKEN))}/${BROKEN}.jpg`, { status: 404 });
  run = await runJob(cloud, {
    purpose: 'matching',
    collection_name: 'products_demo',
    source_config: {
      type: 'both',
      frame_selection: 'all',
      product_collection: 'products_demo',
      cutout_collection: 'cutouts_demo',
    },
    collection_metadata: {
      collection_type: 'matching',
      source_type: 'all',
      embedding_model_id: MODEL_ID,
      frame_selection: 'all',
    },
  });
  products = await pointsOf(cloud, 'products_demo');
  cutouts = await pointsOf(cloud, 'cutouts_demo');
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

describe('the points of a matching job', () => {
  test('lie in two collections, each with its own kind alone', () => {
    expect(products.size).toBe(PRODUCTS * FRAMES);
    expect(cutouts.size).toBe(CUTOUTS - 1);
    expect(new Set([...products.values()].map((p) => [p.payload.source, p.payload.type].join()))).toEqual(
      new Set(['product,product']),
    );
    expect(new Set([...cutouts.values()].map((p) => [p.payload.source, p.payload.type].join()))).toEqual(
      new Set(['cutout,cutout']),
    );
  });

  test('are those of the contract for products: id and payload, key by key', async () => {
    const found = Object.fromEntries([...products].map(([id, { payload }]) => [id, payload]));
    const expected: [string, unknown][] = [];
    for (const i of range(0, PRODUCTS)) {
      for (const frame of range(0, FRAMES)) {
        const path = `/frames/${productId(i)}/frame_${String(frame).padStart(4, '0')}.png`;
        const imageId = `${productId(i)}_synthetic_${frame}`;
        expected.push([
          uuidV5(imageId, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'),
          {
            id: imageId,
            type: 'product',
            url: `${cloud.images.url}${path}`,
            source: 'product',
            product_id: productId(i),
            image_type: 'synthetic',
            frame_index: frame,
            domain: 'synthetic',
            barcode: `barcode-${i}`,
            brand_name: `Brand ${i}`,
            product_name: `Product ${i}`,
            is_primary: frame === 0,
            model: run.output.model,
            job_id: run.jobId,
            content: sha256(await cloud.images.picture(path)),
          },
        ]);
      }
    }
    expect(found).toEqual(Object.fromEntries(expected));
  });

  test('are those of the contract for cutouts: the row id, and a payload key by key', async () => {
    const found = Object.fromEntries([...cutouts].map(([id, { payload }]) => [id, payload]));
    const expected: [string, unknown][] = [];
    for (const i of range(0, CUTOUTS).filter((n) => n !== BROKEN)) {
      const path = `/cutouts/${productId(ofProduct(i))}/${i}.jpg`;
      expected.push([
        cutoutId(i),
        {
          id: cutoutId(i),
          type: 'cutout',
          url: `${cloud.images.url}${path}`,
          source: 'cutout',
          cutout_id: cutoutId(i),
          domain: 'real',
          predicted_upc: i === 0 ? null : `upc-${i}`,
          model: run.output.model,
          job_id: run.jobId,
          content: sha256(await cloud.images.picture(path)),
        },
      ]);
    }
    expect(found).toEqual(Object.fromEntries(expected));
  });

  test('have vectors of the length that the output tells, finite and of length one', () => {
    for (const { vector } of [...products.values(), ...cutouts.values()]) {
      expect(vector).toHaveLength(run.output.embedding_dim ?? -1);
      expect(vector.every(Number.isFinite)).toBe(true);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 4);
    }
  });

  test('lead from every cutout to its own product', async () => {
    for (const i of range(0, CUTOUTS).filter((n) => n !== BROKEN)) {
      const vector = Float32Array.from(cutouts.get(cutoutId(i))?.vector ?? []);
      const [best] = await cloud.qdrant.store.search('products_demo', vector, { limit: 1 });
      expect(best?.payload.product_id).toBe(productId(ofProduct(i)));
    }
  });

  test('can be filtered by the indexes of the contract', async () => {
    for (const name of ['products_demo', 'cutouts_demo']) {
      const { payload_schema: schema, config } = (await askQdrant(cloud, 'GET', `/collections/${name}`)) as {
        payload_schema: Record<string, { data_type: string }>;
        config: { params: { vectors: unknown } };
      };
      const types = Object.entries(schema).map(([key, index]) => [key, index.data_type]);
      expect(Object.fromEntries(types)).toEqual({
        source: 'keyword',
        product_id: 'keyword',
        barcode: 'keyword',
        is_primary: 'bool',
        job_id: 'keyword',
        model: 'keyword',
      });
      expect(config.params.vectors).toMatchObject({ size: run.output.embedding_dim, distance: 'Cosine' });
    }
  });
});

describe('the rows after a matching job', () => {
  test('mark the cutouts whose points were acknowledged, and no other', async () => {
    const rows = await cloud.supabase.sql(
      'select id, has_embedding, qdrant_point_id, embedding_model_id from cutout_images order by external_id',
    );
    const expected = range(0, CUTOUTS).map((i) =>
      i === BROKEN
        ? { id: cutoutId(i), has_embedding: false, qdrant_point_id: null, embedding_model_id: null }
        : {
            id: cutoutId(i),
            has_embedding: true,
            qdrant_point_id: cutoutId(i),
            embedding_model_id: MODEL_ID,
          },
    );
    expect(rows).toEqual(expected);
  });

  test('tell of the job: completed, begun and ended, all counted', async () => {
    const total = PRODUCTS * FRAMES + CUTOUTS;
    const row = await jobRow(cloud, run.jobId);
    expect(row).toMatchObject({
      status: 'completed',
      total_images: total,
      processed_images: total,
      error_message: null,
    });
    const [begun, ended] = [new Date(String(row.started_at)), new Date(String(row.completed_at))];
    expect(begun.getTime()).toBeLessThanOrEqual(ended.getTime());
    expect(Date.now() - begun.getTime()).toBeLessThan(600_000);
  });

  test('tell of each collection once, with the count of the store', async () => {
    const rows = await cloud.supabase.sql(
      `select name, collection_type, source_type, embedding_model_id, image_types, product_collection,
         cutout_collection, frame_selection, vector_count, last_sync_at is not null as synced
       from embedding_collections order by name`,
    );
    const same = {
      collection_type: 'matching',
      source_type: 'all',
      embedding_model_id: MODEL_ID,
      image_types: ['synthetic'],
      product_collection: 'products_demo',
      cutout_collection: 'cutouts_demo',
      frame_selection: 'all',
      synced: true,
    };
    expect(rows).toEqual([
      { name: 'cutouts_demo', vector_count: CUTOUTS - 1, ...same },
      { name: 'products_demo', vector_count: PRODUCTS * FRAMES, ...same },
    ]);
  });

  test('tell of the model how many vectors it has', async () => {
    const rows = await cloud.supabase.sql('select qdrant_vector_count from embedding_models where id = $1', [
      MODEL_ID,
    ]);
    expect(rows).toEqual([{ qdrant_vector_count: PRODUCTS * FRAMES + CUTOUTS - 1 }]);
  });

  test('tell of the image that failed', async () => {
    const rows = await cloud.supabase.sql(
      'select collection, image_id, image_type, url, code, retryable from embedding_job_failures where job_id = $1',
      [run.jobId],
    );
    expect(rows).toEqual([
      {
        collection: 'cutouts_demo',
        image_id: cutoutId(BROKEN),
        image_type: 'cutout',
        url: `${cloud.images.url}/cutouts/${productId(ofProduct(BROKEN))}/${BROKEN}.jpg`,
        code: 'http_404',
        retryable: false,
      },
    ]);
  });
});

describe('what a matching job gives back', () => {
  test('is the whole account', () => {
    expect(run.output).toEqual({
      status: 'success',
      processed_count: PRODUCTS * FRAMES + CUTOUTS - 1,
      resumed_count: 0,
      unchanged_count: 0,
      same_url_count: 0,
      failed_count: 1,
      total_images: PRODUCTS * FRAMES + CUTOUTS,
      embedding_dim: expect.any(Number),
      model: expect.stringMatching(/^demo@[0-9a-f]{16}$/),
      collections: {
        products_demo: {
          total: PRODUCTS * FRAMES,
          points_written: PRODUCTS * FRAMES,
          unchanged: 0,
          product: PRODUCTS * FRAMES,
          cutout: 0,
          failed: 0,
        },
        cutouts_demo: {
          total: CUTOUTS,
          points_written: CUTOUTS - 1,
          unchanged: 0,
          product: 0,
          cutout: CUTOUTS - 1,
          failed: 1,
        },
      },
      failed_images: [
        {
          id: cutoutId(BROKEN),
          type: 'cutout',
          collection: 'cutouts_demo',
          url: `${cloud.images.url}/cutouts/${productId(ofProduct(BROKEN))}/${BROKEN}.jpg`,
          code: 'http_404',
          message: expect.stringContaining('404'),
          retryable: false,
        },
      ],
      failed_by_code: { http_404: 1 },
      skipped: {
        products_without_images: 0,
        unknown_products: 0,
        unknown_product_ids: [],
        repeated_images: 0,
        images_sharing_an_id: 0,
        already_in_collection: 0,
      },
      cutouts_marked: CUTOUTS - 1,
      warnings: [],
      performance: expect.any(Object),
      seconds: expect.any(Number),
    });
  });

  test('comes with the log lines that operators look for, in this order', () => {
    const wanted =
      /^(?:\[Collection Grouping\]| {2}- |Processing Collection: |\[\w+\] Batch \d+: Upserted|\[\w+\] Complete:)/;
    const said = run.messages.filter((message) => wanted.test(message));
    expect(said.slice(0, 3)).toEqual([
      '[Collection Grouping] Found 2 collections:',
      `  - products_demo: ${PRODUCTS * FRAMES} images`,
      `  - cutouts_demo: ${CUTOUTS} images`,
    ]);
    for (const [name, points] of [
      ['products_demo', PRODUCTS * FRAMES],
      ['cutouts_demo', CUTOUTS - 1],
    ] as const) {
      const first = said.indexOf(`Processing Collection: ${name}`);
      const batches = said.filter((message) => message.startsWith(`[${name}] Batch `));
      const upserted = batches.map((message) => /^\[\w+\] Batch (\d+): Upserted (\d+) points$/.exec(message));
      expect(upserted.map((match) => Number(match?.[1]))).toEqual(range(1, batches.length + 1));
      expect(upserted.reduce((sum, match) => sum + Number(match?.[2]), 0)).toBe(points);
      expect(first).toBeGreaterThan(2);
      expect(said.indexOf(batches[0] ?? '')).toBeGreaterThan(first);
    }
    expect(said.slice(-2)).toEqual([
      `[products_demo] Complete: ${PRODUCTS * FRAMES} processed, 0 failed`,
      `[cutouts_demo] Complete: ${CUTOUTS - 1} processed, 1 failed`,
    ]);
  });

  test('comes with lines that all name the job, and one level for what failed', () => {
    expect(run.lines.every((line) => line.requestId === run.jobId)).toBe(true);
    const failed = run.lines.filter((line) => line.image === cutoutId(BROKEN));
    expect(failed).toEqual([expect.objectContaining({ level: 'warn', code: 'http_404' })]);
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
