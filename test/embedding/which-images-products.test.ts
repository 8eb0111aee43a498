import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { InputError } from '../../src/base/errors.ts';
import { createListingTally } from '../../src/embedding/listing-tally.ts';
import { pointIdOf } from '../../src/embedding/point-id.ts';
import { testSupabase, type TestSupabase } from '../support/supabase.ts';
import {
  collect,
  DATASET_ID,
  DATASET_ROWS,
  FRAMES,
  GHOST_ID,
  hasFrames,
  imageId,
  isMatched,
  jobOf,
  productId,
  PRODUCTS,
  PRODUCTS_WITH_IMAGES,
  range,
  seedCatalogue,
} from './catalogue.ts';

let supabase: TestSupabase;
beforeAll(async () => {
  supabase = await testSupabase();
  await seedCatalogue(supabase);
});
afterAll(() => supabase.close());

async function products(filters: Record<string, unknown>, config: Record<string, unknown> = {}) {
  const tally = createListingTally();
  const input = jobOf(filters, { type: 'products', ...config });
  return { ...(await collect({ input, database: supabase.database, tally })), tally };
}

/** The first frames of the products whose number passes, in order. */
function firstFrames(passes: (i: number) => boolean): string[] {
  return range(PRODUCTS)
    .filter((i) => passes(i) && hasFrames(i))
    .map((i) => `${productId(i)}_synthetic_0`);
}

describe('which products', () => {
  test('all: every product that has frames, each once', async () => {
    const { ids } = await products({ product_source: 'all' });
    expect(ids).toEqual(firstFrames(() => true));
  });

  test('matched: those with at least one cutout matched to them', async () => {
    const { ids, tally } = await products({ product_source: 'matched' });
    expect(ids).toEqual(firstFrames(isMatched));
    expect(tally.products_without_images).toBe(0);
  });

  test('new: those with none', async () => {
    const { ids, tally } = await products({ product_source: 'new' });
    expect(ids).toEqual(firstFrames((i) => !isMatched(i)));
    expect(tally.products_without_images).toBe(0);
  });

  test('selected: five ids give exactly their frames', async () => {
    const chosen = [3_100, 4, 2_222, 17, 1];
    const { ids, messages } = await products(
      { product_source: 'selected', product_ids: chosen.map(productId) },
      { frame_selection: 'all' },
    );
    const expected = chosen.flatMap((i) =>
      range(FRAMES).map((frame) => `${productId(i)}_synthetic_${frame}`),
    );
    expect(ids.toSorted()).toEqual(expected.toSorted());
    expect(messages).toEqual(['Filter: Specific 5 products']);
  });

  test('selected: ten thousand ids, of which most are no products; those are named and counted', async () => {
    const unknown = range(10_000 - PRODUCTS).map((i) => productId(PRODUCTS + i));
    const ids = [...range(PRODUCTS).map(productId), ...unknown].reverse();
    const { ids: listed, tally, messages } = await products({ product_source: 'selected', product_ids: ids });
    expect(listed.toSorted()).toEqual(firstFrames(() => true));
    expect(tally).toMatchObject({ unknown_products: unknown.length, products_without_images: PRODUCTS / 10 });
    expect(tally.unknown_product_ids).toHaveLength(20);
    expect(unknown).toEqual(expect.arrayContaining(tally.unknown_product_ids));
    expect(messages).toEqual([
      'Filter: Specific 10000 products',
      `some of the selected products do not exist: ${tally.unknown_product_ids.join(', ')}, and ${unknown.length - 20} more`,
    ]);
  });

  test('selected: an id that is given twice, in either case, counts once', async () => {
    const id = productId(1);
    const { ids } = await products({ product_source: 'selected', product_ids: [id, id.toUpperCase(), id] });
    expect(ids).toEqual([`${id}_synthetic_0`]);
  });

  test('selected: a product without frames is skipped and counted, without failing the others', async () => {
    const { ids, tally } = await products({
      product_source: 'selected',
      product_ids: [9, 19, 1].map(productId),
    });
    expect(ids).toEqual([`${productId(1)}_synthetic_0`]);
    expect(tally).toMatchObject({ products_without_images: 2, unknown_products: 0 });
  });

  test('dataset: three thousand rows, and a row that names no product', async () => {
    const { ids, tally, messages } = await products({
      product_source: 'dataset',
      product_dataset_id: DATASET_ID,
    });
    expect(ids.toSorted()).toEqual(firstFrames((i) => i < DATASET_ROWS - 1));
    expect(tally).toMatchObject({ unknown_products: 1, unknown_product_ids: [GHOST_ID] });
    expect(messages).toEqual([
      `Filter: Products from dataset ${DATASET_ID}`,
      `Found ${DATASET_ROWS} products in dataset`,
      `the dataset lists products that do not exist: ${GHOST_ID}`,
    ]);
  });

  test('dataset: one that is not there is refused by its key', async () => {
    const listing = products({ product_source: 'dataset', product_dataset_id: GHOST_ID });
    await expect(listing).rejects.toThrow(InputError);
    await expect(listing).rejects.toThrow(/source_config\.filters\.product_dataset_id.*no dataset/);
  });

  test('filter: values, lists, comparisons and nulls, all of which must hold', async () => {
    const { ids } = await products({
      product_source: 'filter',
      product_filter: {
        category: ['category 1', 'category 3'],
        brand_name: 'Brand 2',
        barcode_gt: 'barcode-2',
        frame_count_lte: FRAMES,
        sub_brand_is_null: true,
        product_name_not_null: true,
      },
    });
    const passes = (i: number): boolean =>
      [1, 3].includes(i % 5) && i % 7 === 2 && `barcode-${i}` > 'barcode-2';
    expect(ids).toEqual(firstFrames(passes));
    expect(ids.length).toBeGreaterThan(50);
  });

  test('filter: a list of a thousand values', async () => {
    const barcodes = range(1_000).map((i) => `barcode-${i * 3}`);
    const { ids } = await products({ product_source: 'filter', product_filter: { barcode: barcodes } });
    expect(ids.toSorted()).toEqual(firstFrames((i) => i % 3 === 0 && i < 3_000));
  });

  test.each([
    [
      'a column that is not there',
      { barcode: 'b', shelf_life_gte: 3 },
      /product_filter\.shelf_life: .*no such column/,
    ],
    [
      'a value that the column does not take',
      { frame_count: 'many' },
      /product_filter\.frame_count: .*such a value/,
    ],
  ])('filter: %s is refused by its key', async (_, product_filter, message) => {
    const listing = products({ product_source: 'filter', product_filter });
    await expect(listing).rejects.toThrow(InputError);
    await expect(listing).rejects.toThrow(message);
  });
});

describe('which of their images', () => {
  const one = (i: number): Record<string, unknown> => ({
    product_source: 'selected',
    product_ids: [productId(i)],
  });

  test.each([
    ['first', {}, [0]],
    ['key_frames', { max_frames: 5 }, [0, 2, 4, 7, 9]],
    ['interval', { frame_interval: 5 }, [0, 5, 10]],
    ['interval', { frame_interval: 2, max_frames: 3 }, [0, 2, 4]],
    ['all', { max_frames: 3 }, range(FRAMES)],
  ])('frames by %s %j', async (frame_selection, config, frames) => {
    const { ids } = await products(one(4), { frame_selection, ...config });
    expect(ids).toEqual(frames.map((frame) => `${productId(4)}_synthetic_${frame}`));
  });

  test('a frame in full: by a path in storage, and by an address with a trailing slash', async () => {
    const { refs } = await products(
      { product_source: 'selected', product_ids: [4, 11].map(productId) },
      { frame_selection: 'all' },
    );
    const id = `${productId(4)}_synthetic_0`;
    expect(refs[0]).toStrictEqual({
      id,
      pointId: pointIdOf(id),
      collection: 'products',
      type: 'product',
      url: 'shelf/4/frame_0000.png',
      storage: { bucket: 'frames', path: 'shelf/4/frame_0000.png' },
      metadata: {
        source: 'product',
        product_id: productId(4),
        image_type: 'synthetic',
        frame_index: 0,
        domain: 'synthetic',
        barcode: 'barcode-4',
        brand_name: 'Brand 4',
        product_name: 'Product 4',
        is_primary: true,
      },
    });
    expect(refs.at(-1)).toMatchObject({ url: 'https://i.test/11/frame_0011.png', storage: null });
    expect(refs.filter((ref) => ref.metadata.is_primary === true)).toHaveLength(2);
  });

  test('without a collection of their own, products go to the primary one', async () => {
    const { refs } = await products(one(4), { product_collection: null });
    expect(refs.map((ref) => ref.collection)).toEqual(['both']);
  });

  test('real and augmented: ids by frame, by row where there is none or it is taken; the selection holds per type', async () => {
    const filters = { ...one(4), image_types: ['synthetic', 'real', 'augmented'] };
    const id = productId(4);
    const { refs, ids } = await products(filters, { frame_selection: 'all' });
    expect(ids).toEqual([
      ...range(FRAMES).map((frame) => `${id}_synthetic_${frame}`),
      `${id}_real_0`,
      `${id}_real_${imageId(4, 'real', 0)}`,
      `${id}_real_${imageId(4, 'real', 1)}`,
      `${id}_augmented_${imageId(4, 'augmented', 0)}`,
      `${id}_augmented_${imageId(4, 'augmented', 1)}`,
      `${id}_augmented_1`,
    ]);
    expect(refs[FRAMES]).toMatchObject({
      url: 'https://i.test/4/real2.jpg',
      storage: null,
      metadata: { image_type: 'real', domain: 'real', frame_index: 0, is_primary: false },
    });
    expect(refs[FRAMES + 1]?.metadata.frame_index).toBeNull();
    expect(refs.at(-1)).toMatchObject({
      url: 'shelf/4/augmented2.png',
      storage: { bucket: 'frames', path: 'shelf/4/augmented2.png' },
      metadata: { image_type: 'augmented', domain: 'augmented', frame_index: 1, is_primary: false },
    });

    const first = await products(filters);
    expect(first.ids).toEqual([
      `${id}_synthetic_0`,
      `${id}_real_0`,
      `${id}_augmented_${imageId(4, 'augmented', 0)}`,
    ]);
  });

  test('real and augmented alone: above a thousand rows, each once, and products that have none are counted', async () => {
    const { ids, tally } = await products({ image_types: ['augmented', 'real'] }, { frame_selection: 'all' });
    const withFrames = range(PRODUCTS).filter(hasFrames);
    const withImages = withFrames.filter((i) => i < PRODUCTS_WITH_IMAGES);
    expect(ids).toHaveLength(withImages.length * 6);
    expect(new Set(ids).size).toBe(ids.length);
    expect(tally.products_without_images).toBe(withFrames.length - withImages.length);
  });

  test('a selected product without frames still gives its real images', async () => {
    const { ids, tally } = await products({ ...one(9), image_types: ['synthetic', 'real'] });
    expect(ids).toEqual([`${productId(9)}_real_0`]);
    expect(tally.products_without_images).toBe(0);
  });
});
