import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createListingTally } from '../../src/embedding/listing-tally.ts';
import { testSupabase, type TestSupabase } from '../support/supabase.ts';
import {
  collect,
  cutoutId,
  CUTOUTS,
  embeddedOf,
  hasFrames,
  jobOf,
  matchOf,
  merchantIdOf,
  merchantOf,
  MERCHANTS,
  productId,
  PRODUCTS,
  range,
  seedCatalogue,
  upcOf,
} from './catalogue.ts';

let supabase: TestSupabase;
beforeAll(async () => {
  supabase = await testSupabase();
  await seedCatalogue(supabase);
});
afterAll(() => supabase.close());

async function list(filters: Record<string, unknown>, config: Record<string, unknown> = {}) {
  const tally = createListingTally();
  return { ...(await collect({ input: jobOf(filters, config), database: supabase.database, tally })), tally };
}

async function cutouts(filters: Record<string, unknown>): Promise<string[]> {
  const { ids } = await list(filters, { type: 'cutouts' });
  return ids.toSorted();
}

function thoseThat(pass: (j: number) => boolean): string[] {
  const ids = range(CUTOUTS).filter(pass).map(cutoutId);
  expect(ids.length).toBeGreaterThan(0);
  return ids;
}

describe('which cutouts', () => {
  test('all five thousand, each once', async () => {
    expect(await cutouts({})).toEqual(thoseThat(() => true));
  });

  test('only those without an embedding: where it is unknown there is none', async () => {
    expect(await cutouts({ has_embedding: false })).toEqual(thoseThat((j) => embeddedOf(j) !== true));
  });

  test('only those with one', async () => {
    expect(await cutouts({ has_embedding: true })).toEqual(thoseThat((j) => embeddedOf(j) === true));
  });

  test('only those with a predicted UPC: an empty one is none', async () => {
    const withUpc = thoseThat((j) => (upcOf(j) ?? '') !== '');
    expect(await cutouts({ cutout_filter_has_upc: true })).toEqual(withUpc);
    expect(withUpc.length).toBeLessThan(CUTOUTS / 2);
  });

  test.each(MERCHANTS)('only those of the merchant %s', async (name) => {
    expect(await cutouts({ cutout_merchant_names: [name] })).toEqual(
      thoseThat((j) => merchantOf(j) === name),
    );
  });

  test('only those of some merchants by id; by name where both are given', async () => {
    const byId = { cutout_merchant_ids: [2, 5] };
    expect(await cutouts(byId)).toEqual(thoseThat((j) => [2, 5].includes(merchantIdOf(j))));
    const names: string[] = [MERCHANTS[0], MERCHANTS[1]];
    expect(await cutouts({ ...byId, cutout_merchant_names: names })).toEqual(
      thoseThat((j) => names.includes(merchantOf(j))),
    );
    expect(await cutouts({ ...byId, cutout_merchant_names: [] })).toEqual(await cutouts(byId));
  });

  test('all filters together', async () => {
    const filters = { has_embedding: false, cutout_filter_has_upc: true, cutout_merchant_ids: [3] };
    expect(await cutouts(filters)).toEqual(
      thoseThat(
        (j) => embeddedOf(j) !== true && upcOf(j)?.startsWith('upc') === true && merchantIdOf(j) === 3,
      ),
    );
  });

  test('a cutout in full', async () => {
    const { refs } = await list({}, { type: 'cutouts' });
    expect(refs[2]).toStrictEqual({
      marked: false,
      id: cutoutId(2),
      pointId: cutoutId(2),
      collection: 'cutouts',
      type: 'cutout',
      url: 'https://i.test/cutouts/2.jpg',
      storage: null,
      metadata: { source: 'cutout', cutout_id: cutoutId(2), domain: 'real', predicted_upc: 'upc-2' },
    });
  });
});

describe('products and cutouts of one job', () => {
  test('products first, then cutouts, each in its collection', async () => {
    const { refs } = await list({ product_source: 'selected', product_ids: [productId(1), productId(2)] });
    expect(refs.slice(0, 3).map((ref) => [ref.type, ref.collection])).toEqual([
      ['product', 'products'],
      ['product', 'products'],
      ['cutout', 'cutouts'],
    ]);
    expect(refs).toHaveLength(2 + CUTOUTS);
  });

  test('products only, cutouts only', async () => {
    const chosen = { product_source: 'selected', product_ids: [productId(1)] };
    expect((await list(chosen, { type: 'products' })).ids).toEqual([`${productId(1)}_synthetic_0`]);
    expect((await list(chosen, { type: 'cutouts' })).ids).toHaveLength(CUTOUTS);
  });

  test('matched cutouts: those of the products meant, right after them, and the payload says of which', async () => {
    const { refs, ids } = await list({
      product_source: 'selected',
      product_ids: [3, 4, 2_000].map(productId),
      include_matched_cutouts: true,
    });
    const matched = thoseThat((j) => [3, 4].includes(matchOf(j) ?? -1));
    expect(ids.slice(0, 3)).toEqual([3, 4, 2_000].map((i) => `${productId(i)}_synthetic_0`));
    expect(ids.slice(3).toSorted()).toEqual(matched);
    for (const ref of refs.slice(3)) {
      const product = matchOf(Number(ref.id.slice(-12))) ?? -1;
      expect(ref.metadata).toMatchObject({
        source: 'cutout',
        product_id: productId(product),
        is_positive_pair: true,
      });
    }
  });

  test('matched cutouts of all products with frames, page after page, each once', async () => {
    const { ids, tally } = await list({ product_source: 'all', include_matched_cutouts: true });
    const matched = thoseThat((j) => hasFrames(matchOf(j) ?? 9));
    expect(ids.filter((id) => id.startsWith('c')).toSorted()).toEqual(matched);
    expect(ids).toHaveLength(matched.length + range(PRODUCTS).filter(hasFrames).length);
    expect(tally.products_without_images).toBe(0);
  });

  test('matched cutouts keep to the filters of cutouts, with more merchants than one address takes', async () => {
    const names = [...range(500).map((i) => `a merchant without any cutout, number ${i}`), MERCHANTS[1]];
    const chosen = { product_source: 'selected', product_ids: range(200).map(productId) };
    const { ids } = await list(
      { ...chosen, include_matched_cutouts: true, cutout_merchant_names: names, has_embedding: false },
      { type: 'cutouts' },
    );
    const expected = thoseThat(
      (j) => (matchOf(j) ?? 200) < 200 && merchantOf(j) === MERCHANTS[1] && embeddedOf(j) !== true,
    );
    expect(ids.toSorted()).toEqual(expected);
  });

  test('a product that is skipped takes its cutouts with it; where only cutouts are asked for, it is not', async () => {
    const filters = {
      product_source: 'selected',
      product_ids: [9, 1].map(productId),
      include_matched_cutouts: true,
    };
    const both = await list(filters);
    expect(both.ids.slice(1).toSorted()).toEqual(thoseThat((j) => matchOf(j) === 1));
    expect(both.tally.products_without_images).toBe(1);
    const alone = await list(filters, { type: 'cutouts' });
    expect(alone.ids.toSorted()).toEqual(thoseThat((j) => [1, 9].includes(matchOf(j) ?? -1)));
    expect(alone.tally.products_without_images).toBe(0);
  });
});
