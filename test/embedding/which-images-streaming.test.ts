import { setTimeout as pause } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { listImages } from '../../src/embedding/which-images.ts';
import { testSupabase, type TestSupabase } from '../support/supabase.ts';
import {
  collect,
  cutoutId,
  CUTOUTS,
  embeddedOf,
  hasFrames,
  jobOf,
  productId,
  PRODUCTS,
  range,
  seedCatalogue,
  watched,
} from './catalogue.ts';

let supabase: TestSupabase;
beforeAll(async () => {
  supabase = await testSupabase();
  await seedCatalogue(supabase);
});
afterAll(() => supabase.close());

const EVERYTHING = { image_types: ['synthetic', 'real', 'augmented'], include_matched_cutouts: true };
/** Long enough for any reading ahead that there is; where it is not, the test sees less, never more. */
const QUIET_MS = 300;

describe('a listing is a stream', () => {
  let pagesRead: Map<string, number>;
  let queries: string[];
  let database: TestSupabase['database'];
  beforeEach(() => {
    ({ database, pagesRead, queries } = watched(supabase.database));
  });

  test('it reads a few pages ahead of its reader, and no more', async () => {
    const images = listImages({ input: jobOf(EVERYTHING), database });
    await images.next();
    await pause(QUIET_MS);
    const ahead = pagesRead.get('products') ?? 0;
    await images.return(undefined);
    expect(ahead).toBeGreaterThan(1);
    expect(ahead).toBeLessThanOrEqual(5);
    await pause(QUIET_MS);
    expect(pagesRead.get('products')).toBeLessThanOrEqual(ahead + 1);
  });

  test('cutouts: a few pages ahead of the reader', async () => {
    const images = listImages({ input: jobOf({}, { type: 'cutouts' }), database });
    await images.next();
    await pause(QUIET_MS);
    expect(pagesRead.get('cutout_images')).toBeLessThan(CUTOUTS / 1_000);
    await images.return(undefined);
  });

  test('it asks the database by page, never by product', async () => {
    const { ids } = await collect({ input: jobOf(EVERYTHING), database });
    expect(ids.length).toBeGreaterThan(PRODUCTS);
    const productPages = pagesRead.get('products') ?? NaN;
    expect(queries.filter((table) => table === 'product_images')).toHaveLength(productPages);
    expect(queries.filter((table) => table === 'cutout_images')).toHaveLength(productPages);
    expect(productPages).toBeLessThan(PRODUCTS / 100);
  });

  test('a stop ends it with the reason, and nothing reads on', async () => {
    const stop = new AbortController();
    const reason = new StoppedError('cancelled', 'the page said so');
    const images = listImages({ input: jobOf(EVERYTHING), database, signal: stop.signal });
    await images.next();
    stop.abort(reason);
    const rest = (async () => {
      for await (const _ of images);
    })();
    await expect(rest).rejects.toBe(reason);
    const asked = queries.length;
    await pause(QUIET_MS);
    expect(queries).toHaveLength(asked);
  });

  test('listing twice gives the same', async () => {
    const input = jobOf(EVERYTHING);
    const first = await collect({ input, database });
    expect((await collect({ input, database })).refs).toEqual(first.refs);
    expect(new Set(first.ids).size).toBe(first.ids.length);
  });
});

describe('while the tables change', () => {
  /** Reads all, and lets something happen once a third of `expected` is through. */
  async function during(
    input: Parameters<typeof jobOf>,
    expected: number,
    happen: (seen: string[]) => Promise<void>,
  ) {
    const seen: string[] = [];
    for await (const { id } of listImages({ input: jobOf(...input), database: supabase.database })) {
      seen.push(id);
      if (seen.length === Math.floor(expected / 3)) await happen(seen);
    }
    return seen;
  }

  test('rows are added, before and behind the reader: what was there is listed, once', async () => {
    const there = range(PRODUCTS)
      .filter(hasFrames)
      .map((i) => `${productId(i)}_synthetic_0`);
    const seen = await during([{}, { type: 'products' }], there.length, async () => {
      await supabase.sql(`
        insert into products (id, barcode, frames_path, frame_count)
        select (p || '0000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, p || '-' || i, 'added', 3
        from unnest(array['0', 'f']) p, generate_series(900001, 901500) i`);
    });
    expect(new Set(seen).size).toBe(seen.length);
    expect(new Set(seen)).toEqual(new Set([...seen, ...there]));
  });

  test('cutouts are marked as they are read: none of those that had no embedding is missed', async () => {
    const there = range(CUTOUTS)
      .filter((j) => embeddedOf(j) !== true)
      .map(cutoutId);
    const seen = await during([{ has_embedding: false }, { type: 'cutouts' }], there.length, async (read) => {
      await supabase.database.update({
        table: 'cutout_images',
        values: { has_embedding: true },
        filters: [{ column: 'id', op: 'in', value: read }],
      });
    });
    expect(seen.toSorted()).toEqual(there);
  });
});
