import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import {
  addCutouts,
  addProducts,
  cutoutId,
  imagesIn,
  insertRows,
  pointsOf,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type JobRun,
} from '../support/job.ts';

/** 0 to 19 have three frames each, 20 has none, 21 has twelve. */
const PLAIN = range(0, 20);
const BARE = 20;
const LONG = 21;
const DATASET = '0da7a5e7-0000-4000-8000-000000000001';
const IN_DATASET = range(5, 15);
const MATCHED = [0, 1, 2];
const UNKNOWN = 'eeeeeeee-0000-4000-8000-000000000001';
/** Rows of product_images: two real ones with a path in storage, one augmented with an address and without a frame. */
const REAL = ['a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002'] as const;
const AUGMENTED = 'b0000000-0000-4000-8000-000000000001';

const framesOf = (numbers: readonly number[], frames: readonly number[]): string[] =>
  numbers.flatMap((i) => frames.map((frame) => `${productId(i)}_synthetic_${frame}`)).sort();

/** What is asked for, by the collection that it goes to. */
const PRODUCT_JOBS = {
  all_products: { filters: { product_source: 'all' } },
  matched_products: { filters: { product_source: 'matched' } },
  new_products: { filters: { product_source: 'new' } },
  selected_products: {
    filters: { product_source: 'selected', product_ids: [3, 7, 11, 13, 19].map(productId) },
    frame_selection: 'all',
  },
  odd_products: {
    filters: {
      product_source: 'selected',
      product_ids: [productId(4).toUpperCase(), productId(4), productId(BARE), UNKNOWN],
    },
  },
  dataset_products: {
    filters: { product_source: 'dataset', product_dataset_id: DATASET },
    frame_selection: 'all',
  },
  filtered_products: {
    filters: {
      product_source: 'filter',
      product_filter: { category: ['drinks', 'tea'], frame_count_lt: 12 },
    },
  },
  first_frames: {
    frame_selection: 'first',
    filters: { product_source: 'selected', product_ids: [productId(LONG)] },
  },
  key_frames: {
    frame_selection: 'key_frames',
    max_frames: 5,
    filters: { product_source: 'selected', product_ids: [productId(LONG)] },
  },
  interval_frames: {
    frame_selection: 'interval',
    frame_interval: 5,
    filters: { product_source: 'selected', product_ids: [productId(LONG)] },
  },
  capped_interval_frames: {
    frame_selection: 'interval',
    frame_interval: 5,
    max_frames: 2,
    filters: { product_source: 'selected', product_ids: [productId(LONG)] },
  },
  all_frames: {
    frame_selection: 'all',
    max_frames: 2,
    filters: { product_source: 'selected', product_ids: [productId(LONG)] },
  },
} as const;

const CUTOUT_JOBS = {
  embedded_cutouts: { filters: { has_embedding: true } },
  other_cutouts: { filters: { has_embedding: false, cutout_merchant_names: ['Corner Shop'] } },
  upc_cutouts: { filters: { cutout_filter_has_upc: true, cutout_merchant_ids: [19] } },
} as const;

let cloud: JobCloud;
const runs = new Map<string, JobRun>();
const runOf = (name: string): JobRun => {
  const run = runs.get(name);
  if (run === undefined) throw new TypeError(`no job ${name}`);
  return run;
};

beforeAll(async () => {
  cloud = await startJobCloud();
  await addProducts(cloud, [...PLAIN, BARE, LONG], (i) => ({
    category: i === 3 || i === LONG ? 'drinks' : i === 9 ? 'tea' : 'other',
    frame_count: i === BARE ? 0 : i === LONG ? 12 : 3,
  }));
  await insertRows(cloud, 'datasets', [{ id: DATASET, name: 'ten' }]);
  await insertRows(
    cloud,
    'dataset_products',
    IN_DATASET.map((i) => ({ dataset_id: DATASET, product_id: productId(i) })),
  );
  // 0 to 3 are matched to 0, 1, 2 and 2; 4 to 11 to none. Odd ones are the Corner Shop's.
  await addCutouts(
    cloud,
    range(0, 12),
    (i) => Math.min(i, 2),
    (i) => ({
      matched_product_id: i < 4 ? productId(Math.min(i, 2)) : null,
      has_embedding: i >= 8,
      predicted_upc: i % 3 === 0 ? null : `upc-${i}`,
      merchant: i % 2 === 1 ? 'Corner Shop' : 'North Market',
      merchant_id: i % 2 === 1 ? 19 : 12,
    }),
  );
  const image = { product_id: productId(6), source: 'video_frame' };
  await insertRows(cloud, 'product_images', [
    {
      id: REAL[0],
      ...image,
      image_type: 'real',
      image_path: 'six/real 1.png',
      image_url: null,
      frame_index: 1,
    },
    {
      id: REAL[1],
      ...image,
      image_type: 'real',
      image_path: 'six/real0.png',
      image_url: null,
      frame_index: 0,
    },
    {
      id: AUGMENTED,
      ...image,
      image_type: 'augmented',
      image_path: 'six/unused.png',
      image_url: `${cloud.images.url}/many/6.png`,
      frame_index: null,
    },
  ]);
  for (const [path, source] of [
    ['six/real0.png', '/many/1.png'],
    ['six/real 1.png', '/many/2.png'],
  ] as const) {
    const body = await cloud.images.picture(source);
    await cloud.supabase.database.upload({ bucket: 'frames', path, body, contentType: 'image/png' });
  }

  const jobs = [
    ...Object.entries(PRODUCT_JOBS).map(([name, source]) => ({
      name,
      source_config: { type: 'products', product_collection: name, ...source },
    })),
    ...Object.entries(CUTOUT_JOBS).map(([name, source]) => ({
      name,
      source_config: { type: 'cutouts', cutout_collection: name, ...source },
    })),
  ];
  // Six at a time: each waits at its end for the API's last word, and nothing of one concerns another.
  for (let i = 0; i < jobs.length; i += 6) {
    await Promise.all(
      jobs.slice(i, i + 6).map(async ({ name, source_config }) => {
        runs.set(name, await runJob(cloud, { purpose: 'matching', source_config }));
      }),
    );
  }
}, 180_000);

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

describe('product sources', () => {
  test.each([
    ['all_products', framesOf([...PLAIN, LONG], [0])],
    ['matched_products', framesOf(MATCHED, [0])],
    ['new_products', framesOf([...PLAIN.slice(3), LONG], [0])],
    ['selected_products', framesOf([3, 7, 11, 13, 19], [0, 1, 2])],
    ['dataset_products', framesOf(IN_DATASET, [0, 1, 2])],
    ['filtered_products', framesOf([3, 9], [0])],
  ])('%s gives exactly its frames', async (name, expected) => {
    const { output } = runOf(name);
    expect(output).toMatchObject({
      status: 'success',
      processed_count: expected.length,
      failed_count: 0,
      warnings: [],
    });
    expect(await imagesIn(cloud, name)).toEqual(expected);
  });

  test('an id twice in two spellings counts once, a product without frames is counted, one that does not exist named', async () => {
    expect(await imagesIn(cloud, 'odd_products')).toEqual(framesOf([4], [0]));
    const { output, lines } = runOf('odd_products');
    expect(output.skipped).toMatchObject({
      products_without_images: 1,
      unknown_products: 1,
      unknown_product_ids: [UNKNOWN],
    });
    const warnings = lines.filter((line) => line.level === 'warn');
    expect(warnings.map((line) => JSON.stringify(line)).join('\n')).toContain(UNKNOWN);
  });

  test('are told to the operators', () => {
    expect(runOf('selected_products').messages).toContain('Filter: Specific 5 products');
    const said = runOf('dataset_products').messages;
    expect(said).toContain(`Filter: Products from dataset ${DATASET}`);
    expect(said.filter((message) => message === 'Found 10 products in dataset')).toHaveLength(1);
  });

  test('of products alone make one collection and mark no cutout', () => {
    expect(runOf('all_products').output).toMatchObject({ cutouts_marked: 0 });
    expect(Object.keys(runOf('all_products').output.collections)).toEqual(['all_products']);
  });
});

describe('frame selections', () => {
  test.each([
    ['first_frames', [0]],
    ['key_frames', [0, 2, 4, 7, 9]],
    ['interval_frames', [0, 5, 10]],
    ['capped_interval_frames', [0, 5]],
    ['all_frames', range(0, 12)],
  ])('%s gives these frames', async (name, frames) => {
    expect(await imagesIn(cloud, name)).toEqual(framesOf([LONG], frames));
  });
});

describe('cutout filters', () => {
  test.each([
    ['embedded_cutouts', [8, 9, 10, 11]],
    ['other_cutouts', [1, 3, 5, 7]],
    ['upc_cutouts', [1, 5, 7, 11]],
  ])('%s gives exactly its cutouts', async (name, numbers) => {
    expect(await imagesIn(cloud, name)).toEqual(numbers.map(cutoutId).sort());
  });
});

describe('image types', () => {
  test('real and augmented ones come from rows and storage, and the payload shows what was stored', async () => {
    const { output } = await runJob(cloud, {
      purpose: 'training',
      collection_name: 'typed',
      source_config: {
        type: 'products',
        frame_selection: 'all',
        filters: {
          product_source: 'selected',
          product_ids: [productId(6), productId(7)],
          image_types: ['synthetic', 'real', 'augmented'],
        },
      },
    });
    expect(output).toMatchObject({ processed_count: 3 + 2 + 1 + 3, failed_count: 0, warnings: [] });
    const points = [...(await pointsOf(cloud, 'typed')).values()].map(({ payload }) => payload);
    const shown = points
      .filter((payload) => payload.product_id === productId(6) && payload.image_type !== 'synthetic')
      .map(({ id, url, image_type, domain, frame_index, is_primary }) => ({
        id,
        url,
        image_type,
        domain,
        frame_index,
        is_primary,
      }))
      .sort((a, b) => String(a.url).localeCompare(String(b.url)));
    expect(shown).toEqual([
      {
        id: `${productId(6)}_augmented_${AUGMENTED}`,
        url: `${cloud.images.url}/many/6.png`,
        image_type: 'augmented',
        domain: 'augmented',
        frame_index: null,
        is_primary: false,
      },
      {
        id: `${productId(6)}_real_1`,
        url: 'six/real 1.png',
        image_type: 'real',
        domain: 'real',
        frame_index: 1,
        is_primary: false,
      },
      {
        id: `${productId(6)}_real_0`,
        url: 'six/real0.png',
        image_type: 'real',
        domain: 'real',
        frame_index: 0,
        is_primary: false,
      },
    ]);
    const frames = points.filter((payload) => payload.image_type === 'synthetic').map(({ id }) => id);
    expect(frames.sort()).toEqual(framesOf([6, 7], [0, 1, 2]));
  });

  test('a stored picture that is not there fails alone', async () => {
    const missing = randomUUID();
    await insertRows(cloud, 'product_images', [
      {
        id: missing,
        product_id: productId(8),
        image_type: 'real',
        source: 'matching',
        image_path: 'eight/gone.png',
        image_url: null,
        frame_index: 0,
      },
    ]);
    const { output } = await runJob(cloud, {
      collection_name: 'with_a_gap',
      source_config: {
        type: 'products',
        filters: {
          product_source: 'selected',
          product_ids: [productId(6), productId(8)],
          image_types: ['real'],
        },
      },
    });
    expect(output).toMatchObject({ status: 'success', processed_count: 1, failed_count: 1 });
    expect(output.failed_images).toMatchObject([
      { id: `${productId(8)}_real_0`, url: 'eight/gone.png', code: 'storage_not_found', retryable: false },
    ]);
  });
});

describe('include_matched_cutouts', () => {
  test('takes the cutouts of the products alone, and says in their payload whose they are', async () => {
    const { output } = await runJob(cloud, {
      purpose: 'training',
      collection_name: 'pairs',
      source_config: {
        type: 'both',
        filters: {
          product_source: 'selected',
          product_ids: [productId(1), productId(2), productId(3)],
          include_matched_cutouts: true,
        },
      },
    });
    expect(output.collections.pairs).toMatchObject({ product: 3, cutout: 3, failed: 0 });
    const points = [...(await pointsOf(cloud, 'pairs')).values()].map(({ payload }) => payload);
    const pairs = points
      .filter((payload) => payload.source === 'cutout')
      .map(({ id, product_id, is_positive_pair, domain }) => ({ id, product_id, is_positive_pair, domain }))
      .sort((a, b) => String(a.id).localeCompare(String(b.id)));
    expect(pairs).toEqual(
      [1, 2, 3].map((i) => ({
        id: cutoutId(i),
        product_id: productId(Math.min(i, 2)),
        is_positive_pair: true,
        domain: 'real',
      })),
    );
    expect(points.some((payload) => payload.source === 'product' && 'is_positive_pair' in payload)).toBe(
      false,
    );
  });
});
