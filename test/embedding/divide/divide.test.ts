import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { divideListing, type Division } from '../../../src/embedding/divide/divide.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';
import {
  collect,
  CUTOUTS,
  DATASET_ID,
  DATASET_ROWS,
  FRAMES,
  hasFrames,
  isMatched,
  jobOf,
  productId,
  PRODUCTS,
  range,
  seedCatalogue,
} from '../catalogue.ts';

type Row = Record<string, unknown>;

/** More than are read. */
const RANDOM_CUTOUTS = 11_000;

let supabase: TestSupabase;
beforeAll(async () => {
  supabase = await testSupabase();
  await seedCatalogue(supabase);
}, 60_000);
afterAll(() => supabase.close());

async function divide(division: Division, filters: Row, config: Row = {}) {
  const { source_config: source } = jobOf(filters, config);
  if (source === undefined) throw new TypeError('no source');
  return divideListing({ config: source, division, database: supabase.database });
}

const withFrames = range(PRODUCTS).filter(hasFrames).length;

test.each<[string, Row, Row, number]>([
  ['all products', {}, { type: 'products' }, withFrames],
  ['all their frames', {}, { type: 'products', frame_selection: 'all' }, withFrames * FRAMES],
  [
    'matched products',
    { product_source: 'matched' },
    { type: 'products' },
    range(PRODUCTS).filter((i) => hasFrames(i) && isMatched(i)).length,
  ],
  [
    'new products',
    { product_source: 'new' },
    { type: 'products' },
    range(PRODUCTS).filter((i) => hasFrames(i) && !isMatched(i)).length,
  ],
  [
    'products by a filter',
    { product_source: 'filter', product_filter: { category: 'category 1' } },
    { type: 'products' },
    range(PRODUCTS).filter((i) => hasFrames(i) && i % 5 === 1).length,
  ],
  ['cutouts without an embedding', { has_embedding: false }, { type: 'cutouts' }, (CUTOUTS * 4) / 5],
  ['products and cutouts', {}, { type: 'both' }, withFrames + CUTOUTS],
])(
  'the shards of %s have as many images as they say, and about as many each',
  async (_, filters, config, total) => {
    const shards = await divide({ shards: 5 }, filters, config);
    expect(shards.map(({ shard: { index, of } }) => [index, of])).toEqual(range(5).map((i) => [i, 5]));
    const listed = await Promise.all(
      shards.map(async ({ shard }) => {
        const { ids } = await collect({
          input: jobOf(filters, { ...config, shard }),
          database: supabase.database,
        });
        return ids.length;
      }),
    );
    expect(shards.map(({ images }) => images)).toEqual(listed);
    expect(listed.reduce((sum, n) => sum + n)).toBe(total);
    expect(Math.max(...listed) - Math.min(...listed)).toBeLessThanOrEqual(total / listed.length / 20);
  },
);

test('a dataset is divided by its rows, and selected products by their ids', async () => {
  const dataset = { product_source: 'dataset', product_dataset_id: DATASET_ID };
  const shards = await divide({ shards: 3 }, dataset, { type: 'products' });
  expect(shards.map(({ shard }) => shard.products?.from)).toEqual([
    undefined,
    productId(DATASET_ROWS / 3),
    productId((2 * DATASET_ROWS) / 3),
  ]);
  const chosen = { product_source: 'selected', product_ids: [4, 8, 15, 16, 23, 42].map(productId) };
  const [, second] = await divide({ shards: 3 }, chosen, { type: 'products' });
  expect(second?.shard.products).toEqual({ from: productId(15), before: productId(23) });
});

test('images per shard say how many shards there are, by images and not by rows', async () => {
  const images = withFrames * FRAMES;
  const config = { type: 'products', frame_selection: 'all' };
  // The first products of the catalogue have frames as all have.
  expect(await divide({ images_per_shard: 10_000 }, {}, config)).toHaveLength(Math.ceil(images / 10_000));
  expect(await divide({ images_per_shard: images }, {}, config)).toHaveLength(1);
  await expect(divide({ images_per_shard: 10 }, {}, config)).rejects.toMatchObject({
    issues: [{ key: 'images_per_shard', message: expect.stringContaining('makes 3456 shards') }],
  });
});

test('there are no more shards than rows, and one where there is nothing', async () => {
  const chosen = { product_source: 'selected', product_ids: [4, 8].map(productId) };
  expect(await divide({ shards: 8 }, chosen, { type: 'products' })).toHaveLength(2);
  const none = { product_source: 'filter', product_filter: { category: 'no such' } };
  expect(await divide({ shards: 8 }, none, { type: 'products' })).toHaveLength(1);
  const wrong = { product_source: 'filter', product_filter: { no_such: 'x' } };
  await expect(divide({ shards: 8 }, wrong)).rejects.toMatchObject({ code: 'invalid_input' });
});

test('more keys than are read are divided by counting, whatever lies together among them', async () => {
  await supabase.sql(`insert into cutout_images (id, external_id, image_url, has_embedding)
    select gen_random_uuid(), 100000 + j, 'any', j % 3 = 0 from generate_series(1, ${RANDOM_CUTOUTS}) j`);
  const total = CUTOUTS + RANDOM_CUTOUTS;
  const shards = await divide({ shards: 7 }, {}, { type: 'cutouts' });
  const bounds = shards.flatMap(({ shard }) => shard.cutouts?.from ?? []);
  const rows = await supabase.sql(
    `select width_bucket(id, $1::uuid[]) as part, count(*)::int as images from cutout_images group by 1 order by 1`,
    [bounds],
  );
  expect(rows).toEqual(shards.map(({ images }, part) => ({ part, images })));
  for (const { images } of shards) expect(Math.abs(images - total / 7)).toBeLessThan(total / 7 / 4);
});
