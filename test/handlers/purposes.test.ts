import { readdir, readFile } from 'node:fs/promises';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { v5 as uuidV5 } from 'uuid';

import {
  addCutouts,
  addProducts,
  cutoutId,
  imagesIn,
  insertRows,
  MODEL_ID,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type JobRun,
  type Row,
} from '../support/job.ts';

/** The models' row that every job of the fixtures names. */
const FIXTURE_MODEL = 'c6c7a4bc-d9d0-5678-a1d9-b4086b0c5254';
const FIXTURE_DATASET = 'b5b5fb4a-2868-5ed7-9573-c33230db4be2';
const FIXTURE_PRODUCTS = [
  '8fd6f6ed-d40b-51bd-baca-fc3eea9d4656',
  '55c2126a-e987-597b-948b-17e55d0775e4',
  '8a1581da-d129-5a5a-bb43-ce76102f4ad6',
  'd0d4a4bc-798c-5a21-8ed9-c648d311e7b9',
  '9f01aea0-fc4b-552d-ba48-bef37a648ce8',
];
/** A product that no fixture selects. */
const ANOTHER_PRODUCT = '0e0e0e0e-0000-4000-8000-000000000001';
const FIXTURES = new URL('../fixtures/jobs/', import.meta.url);

let cloud: JobCloud;

beforeAll(async () => {
  cloud = await startJobCloud();
}, 120_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

describe('jobs of other purposes', () => {
  beforeAll(async () => {
    await addProducts(cloud, range(0, 3));
    await addCutouts(
      cloud,
      range(0, 4),
      (i) => i % 3,
      (i) => ({ merchant: 'Purposes', matched_product_id: productId(i % 3) }),
    );
  });

  test('production, training and evaluation each fill one collection with both kinds', async () => {
    const purposes = ['production', 'training', 'evaluation'] as const;
    const runs = await Promise.all(
      purposes.map((purpose) =>
        runJob(cloud, {
          purpose,
          collection_name: `${purpose}_demo`,
          source_config: {
            type: 'both',
            frame_selection: 'all',
            filters: {
              product_source: 'selected',
              product_ids: range(0, 3).map(productId),
              cutout_merchant_names: ['Purposes'],
            },
          },
          collection_metadata: { embedding_model_id: MODEL_ID },
        }),
      ),
    );
    for (const [i, purpose] of purposes.entries()) {
      const name = `${purpose}_demo`;
      expect(runs[i]?.output).toMatchObject({
        status: 'success',
        warnings: [],
        collections: { [name]: { total: 13, points_written: 13, product: 9, cutout: 4, failed: 0 } },
      });
      expect(Object.keys(runs[i]?.output.collections ?? {})).toEqual([name]);
      expect(runs[i]?.messages).toContain('[Collection Grouping] Found 1 collections:');
      const points = [...(await pointsOf(cloud, name)).values()];
      expect(points.filter(({ payload }) => payload.source === 'product')).toHaveLength(9);
      expect(points.filter(({ payload }) => payload.source === 'cutout')).toHaveLength(4);
      const rows = await cloud.supabase.sql(
        'select collection_type, source_type, vector_count from embedding_collections where name = $1',
        [name],
      );
      expect(rows).toEqual([{ collection_type: purpose, source_type: 'selected', vector_count: 13 }]);
    }
  });
});

describe('a job that carries its images', () => {
  const url = (name: string): string => `${cloud.images.url}/frames/${name}/frame_0000.png`;
  const dns = (name: string): string => uuidV5(name, '6ba7b810-9dad-11d1-80b4-00c04fd430c8');

  test('keeps what shares an id and differs, drops what is the same, and counts both', async () => {
    const shared = `${productId(0)}_augmented_None`;
    const { output } = await runJob(cloud, {
      purpose: 'production',
      collection_name: 'legacy',
      images: [
        { id: 'alone', url: url('a'), type: 'product', metadata: { barcode: '1', is_production: true } },
        { id: shared, url: url('b'), type: 'product', metadata: { image_type: 'augmented' } },
        { id: shared, url: url('c'), type: 'product', metadata: { image_type: 'augmented' } },
        { id: 'alone', url: url('a'), type: 'product' },
        { id: 4711, url: url('d'), type: 'cutout' },
        { id: cutoutId(900).toUpperCase(), url: url('e'), type: 'cutout' },
        { id: 'elsewhere', url: url('f'), type: 'product', collection: 'legacy_other' },
      ],
    });
    expect(output).toMatchObject({
      status: 'success',
      processed_count: 6,
      total_images: 6,
      skipped: { repeated_images: 1, images_sharing_an_id: 2 },
      collections: { legacy: { points_written: 5 }, legacy_other: { points_written: 1 } },
    });
    const points = await pointsOf(cloud, 'legacy');
    expect([...points.keys()].sort()).toEqual(
      [
        dns('alone'),
        dns(`${dns(shared)}|${url('b')}`),
        dns(`${dns(shared)}|${url('c')}`),
        '4711',
        cutoutId(900),
      ].sort(),
    );
    expect(points.get(dns('alone'))?.payload).toMatchObject({
      id: 'alone',
      type: 'product',
      url: url('a'),
      source: 'product',
      barcode: '1',
      is_production: true,
    });
    expect(points.get(cutoutId(900))?.payload).toMatchObject({ source: 'cutout', type: 'cutout' });
    expect([...(await pointsOf(cloud, 'legacy_other')).keys()]).toEqual([dns('elsewhere')]);
  });

  test('takes a picture out of the job itself, and does not tell it again at length', async () => {
    const bytes = await cloud.images.picture('/many/3.png');
    const before = cloud.images.count;
    const { output, lines } = await runJob(cloud, {
      collection_name: 'inline',
      images: [
        { id: 'inline', url: `data:image/png;base64,${bytes.toString('base64')}`, type: 'product' },
        { id: 'inline-broken', url: `data:image/png;base64,${'A'.repeat(5_000)}`, type: 'product' },
      ],
    });
    expect(output).toMatchObject({ processed_count: 1, failed_count: 1 });
    expect(output.failed_images).toMatchObject([{ id: 'inline-broken', code: 'not_an_image' }]);
    expect(output.failed_images[0]?.url.length).toBeLessThan(600);
    expect(JSON.stringify(lines)).not.toContain('A'.repeat(500));
    expect(cloud.images.count).toBe(before);
  });
});

describe('jobs as they arrive', () => {
  /** What has to be another one here: addresses and keys, the model and the length of its vectors. */
  const localised = (input: Row): Row => {
    const text = JSON.stringify(input).replaceAll(
      /https:\/\/images\.example\.invalid\/([^"]*?)\/?([^/"]*)\.(?:png|jpg)/g,
      (_, folder: string, name: string) => `${cloud.images.url}/frames/${folder}${name}/frame_0000.png`,
    );
    const { embedding_dim: _, ...rest } = JSON.parse(text) as Row;
    return { ...rest, model_type: 'demo', ...(input.job_id !== undefined && cloud.credentials) };
  };
  const run = async (file: string): Promise<JobRun> => {
    const { input } = JSON.parse(await readFile(new URL(file, FIXTURES), 'utf8')) as { input: Row };
    return runJob(cloud, localised(input), { row: { embedding_model_id: FIXTURE_MODEL } });
  };

  beforeAll(async () => {
    await insertRows(cloud, 'embedding_models', [
      {
        id: FIXTURE_MODEL,
        name: 'Arrives',
        model_type: 'dinov2-base',
        embedding_dim: 768,
        qdrant_vector_count: 0,
      },
    ]);
    await insertRows(
      cloud,
      'products',
      [...FIXTURE_PRODUCTS, ANOTHER_PRODUCT].map((id) => ({
        id,
        barcode: id,
        frames_path: `${cloud.images.url}/frames/${id}/`,
        frame_count: 12,
      })),
    );
    await insertRows(cloud, 'datasets', [{ id: FIXTURE_DATASET, name: 'arrives' }]);
    await insertRows(
      cloud,
      'dataset_products',
      FIXTURE_PRODUCTS.slice(0, 2).map((product_id) => ({ dataset_id: FIXTURE_DATASET, product_id })),
    );
    // 100, 101: matched. 102: of a merchant of the fixtures, with a UPC. 103: the same, without one. 104: of another.
    await addCutouts(
      cloud,
      range(100, 105),
      () => 0,
      (i) => ({
        merchant: i < 102 ? 'Purposes' : i === 104 ? 'Elsewhere' : 'North Market',
        matched_product_id: i === 100 ? FIXTURE_PRODUCTS[0] : i === 101 ? ANOTHER_PRODUCT : null,
        predicted_upc: i === 103 ? null : `upc-${i}`,
      }),
    );
    await insertRows(cloud, 'product_images', [
      {
        id: 'a0000000-0000-4000-8000-000000000009',
        product_id: FIXTURE_PRODUCTS[0],
        image_type: 'real',
        source: 'matching',
        image_path: 'unused',
        image_url: `${cloud.images.url}/many/9.png`,
        frame_index: null,
      },
    ]);
  });

  test('every fixture is run by a test here', async () => {
    // A training job's are its own tests' matter.
    const files = (await readdir(FIXTURES)).filter((file) => !file.startsWith('cls-')).sort();
    expect(files).toEqual([
      'evaluation-images.json',
      'matching-append-selected.json',
      'matching-create.json',
      'matching-dataset-products-only.json',
      'production-images.json',
      'stateless.json',
      'training.json',
    ]);
  });

  test('a matching job that makes its collections, then one that appends selected products to them', async () => {
    const created = await run('matching-create.json');
    expect(created.output).toMatchObject({ status: 'success', failed_count: 0, warnings: [] });
    // Matched products with their first frame, three of the purposes' tests among them; every cutout there is.
    const matched = [...range(0, 3).map(productId), FIXTURE_PRODUCTS[0], ANOTHER_PRODUCT];
    expect(await imagesIn(cloud, 'products_dinov2_base')).toEqual(
      matched.map((id) => `${String(id)}_synthetic_0`).sort(),
    );
    expect(await imagesIn(cloud, 'cutouts_dinov2_base')).toEqual(
      [...range(0, 4), ...range(100, 105)].map(cutoutId).sort(),
    );

    await cloud.supabase.sql('update cutout_images set has_embedding = false where id = $1', [cutoutId(103)]);
    await addCutouts(
      cloud,
      [110, 111],
      () => 0,
      (i) => ({ merchant: i === 110 ? 'Corner Shop' : 'Elsewhere' }),
    );
    const before = await imagesIn(cloud, 'products_dinov2_base');
    const appended = await run('matching-append-selected.json');
    // Ten of twelve frames each; the first product's frame 0 is there already. One cutout is new and of the merchants.
    expect(appended.output).toMatchObject({
      status: 'success',
      failed_count: 0,
      processed_count: 5 * 10 - 1 + 1,
      skipped: { already_in_collection: 1 },
    });
    const keyFrames = range(0, 10).map((i) => Math.floor((i * 12) / 10));
    const frames = FIXTURE_PRODUCTS.flatMap((id) => keyFrames.map((frame) => `${id}_synthetic_${frame}`));
    expect(await imagesIn(cloud, 'products_dinov2_base')).toEqual(
      [...new Set([...before, ...frames])].sort(),
    );
    expect(await imagesIn(cloud, 'cutouts_dinov2_base')).toContain(cutoutId(110));
    expect(await imagesIn(cloud, 'cutouts_dinov2_base')).not.toContain(cutoutId(111));

    const again = await run('matching-dataset-products-only.json');
    expect(again.output).toMatchObject({
      status: 'success',
      processed_count: 2,
      collections: { products_dinov2_base: { product: 2, cutout: 0 } },
    });
    expect(Object.keys(again.output.collections)).toEqual(['products_dinov2_base']);
    const rows = await cloud.supabase.sql(
      `select name, collection_type, source_type, source_dataset_id, vector_count from embedding_collections
       where embedding_model_id = $1 order by name`,
      [FIXTURE_MODEL],
    );
    expect(rows).toMatchObject([
      { name: 'cutouts_dinov2_base', collection_type: 'matching', source_type: 'selected', vector_count: 10 },
      {
        name: 'products_dinov2_base',
        collection_type: 'matching',
        source_type: 'dataset',
        source_dataset_id: FIXTURE_DATASET,
        vector_count: 54,
      },
    ]);
  });

  test('a training job pairs products with their cutouts in one collection', async () => {
    const { output } = await run('training.json');
    // Of five matched products: three with three frames, two with ten of twelve, one real picture, all cutouts of theirs.
    expect(output).toMatchObject({
      status: 'success',
      failed_count: 0,
      collections: { training_dinov2_base: { product: 3 * 3 + 2 * 10 + 1, cutout: 4 + 2 } },
    });
    const points = [...(await pointsOf(cloud, 'training_dinov2_base')).values()];
    const unpaired = points.filter(
      ({ payload }) => payload.source === 'cutout' && payload.is_positive_pair !== true,
    );
    expect(unpaired).toEqual([]);
  });

  test('a production job and an evaluation job with their own images', async () => {
    const [production, evaluation] = await Promise.all([
      run('production-images.json'),
      run('evaluation-images.json'),
    ]);
    expect(production.output).toMatchObject({
      status: 'success',
      processed_count: 9,
      failed_count: 0,
      skipped: { repeated_images: 0, images_sharing_an_id: 0 },
    });
    expect(evaluation.output).toMatchObject({ status: 'success', processed_count: 3, failed_count: 0 });
    const points = [...(await pointsOf(cloud, 'production_dinov2_base')).values()].map((p) => p.payload);
    expect(points.filter((payload) => payload.is_production === true)).toHaveLength(9);
    expect(points.filter((payload) => payload.is_primary === true)).toHaveLength(3);
    const rows = await cloud.supabase.sql(
      'select name, collection_type from embedding_collections where name like $1 or name like $2 order by name',
      ['production_dinov2%', 'evaluation_dinov2%'],
    );
    expect(rows).toEqual([
      { name: 'evaluation_dinov2_base', collection_type: 'evaluation' },
      { name: 'production_dinov2_base', collection_type: 'production' },
    ]);
  });
});
