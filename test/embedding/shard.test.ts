import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { InputError } from '../../src/base/errors.ts';
import { createListingTally } from '../../src/embedding/listing-tally.ts';
import { parseEmbeddingInput } from '../../src/embedding/input.ts';
import { rangesOf } from '../../src/embedding/shard.ts';
import { listImages } from '../../src/embedding/which-images.ts';
import { testSupabase, type TestSupabase } from '../support/supabase.ts';
import { collect, jobOf } from './catalogue.ts';

type Row = Record<string, unknown>;

const DATASET = 'd0000000-0000-4000-8000-000000000001';
const FAILED_JOB = 'f0000000-0000-4000-8000-000000000001';

let supabase: TestSupabase;
beforeAll(async () => {
  supabase = await testSupabase();
  await supabase.sql('alter table dataset_products drop constraint dataset_products_product_id_fkey');
  await supabase.sql('alter table cutout_images alter column has_embedding drop not null');
});
afterEach(() => supabase.sql('truncate products, datasets, cutout_images, embedding_jobs cascade'));
afterAll(() => supabase.close());

async function insert(table: string, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  const names = Object.keys(rows[0] ?? {}).join(', ');
  await supabase.sql(
    `insert into ${table} (${names}) select ${names} from jsonb_populate_recordset(null::${table}, $1::jsonb)`,
    [JSON.stringify(rows)],
  );
}

/** Ids that are spread over all of them, and others that differ in their last digits alone. */
const uuid = fc.oneof(
  fc.uuid(),
  fc.nat(9_999).map((n) => `7a000000-0000-4000-8000-${String(n).padStart(12, '0')}`),
);
const idsOf = (most: number) => fc.uniqueArray(uuid, { minLength: 1, maxLength: most });

interface Data {
  products: string[];
  cutouts: string[];
  /** Numbers that say what is otherwise different about the rows. */
  salt: number;
}
const anyData: fc.Arbitrary<Data> = fc.record({
  products: idsOf(30),
  cutouts: idsOf(40),
  salt: fc.nat(1_000),
});

let external = 0;

async function add({ products, cutouts, salt }: Data): Promise<void> {
  await insert(
    'products',
    products.map((id, i) => ({
      id,
      barcode: randomUUID(),
      category: (i + salt) % 2 === 0 ? 'drinks' : 'tea',
      frames_path: `https://i.test/${id}`,
      frame_count: (i + salt) % 5,
      status: 'pending',
      created_at: '2026-01-01',
      updated_at: '2026-01-01',
    })),
  );
  await insert(
    'product_images',
    products.flatMap((id, i) =>
      Array.from({ length: (i + salt) % 3 }, (_, k) => ({
        id: randomUUID(),
        product_id: id,
        image_path: `real/${id}/${k}`,
        image_type: 'real',
        created_at: '2026-01-01',
      })),
    ),
  );
  await insert(
    'cutout_images',
    cutouts.map((id, i) => ({
      id,
      external_id: (external += 1),
      image_url: `https://i.test/${id}.jpg`,
      has_embedding: [true, false, null][(i + salt) % 3],
      merchant: ['North Market', 'Corner Shop'][(i + salt) % 2],
      predicted_upc: (i + salt) % 4 === 0 ? null : 'upc',
      matched_product_id: (i + salt) % 3 === 0 ? null : products[(i * 7 + salt) % products.length],
      created_at: '2026-01-01',
      updated_at: '2026-01-01',
    })),
  );
}

const filters = (data: Data): fc.Arbitrary<Row> =>
  fc.record({
    product_source: fc.constantFrom('all', 'matched', 'new', 'selected', 'dataset', 'filter'),
    product_ids: fc.constant([...data.products.filter((_, i) => i % 2 === 0), randomUUID()]),
    product_dataset_id: fc.constant(DATASET),
    product_filter: fc.constant({ category: 'drinks' }),
    image_types: fc.constantFrom(['synthetic'], ['synthetic', 'real'], ['real']),
    include_matched_cutouts: fc.boolean(),
    cutout_filter_has_upc: fc.boolean(),
    cutout_merchant_names: fc.constantFrom([], ['North Market']),
    has_embedding: fc.constantFrom(null, true, false),
  });
const config = fc.record({
  type: fc.constantFrom('both', 'products', 'cutouts'),
  frame_selection: fc.constantFrom('first', 'all'),
});

/** Bounds of any number of shards, among them keys that rows have, keys that none has, and empty shards. */
const boundsAmong = (ids: readonly string[], shards: number): fc.Arbitrary<string[]> =>
  fc
    .array(fc.oneof(fc.constantFrom(...ids), uuid), { minLength: shards - 1, maxLength: shards - 1 })
    .map((bounds) => bounds.toSorted());

interface Case {
  data: Data;
  filters: Row;
  config: Row;
  productBounds: string[];
  cutoutBounds: string[];
}

const anyCase: fc.Arbitrary<Case> = fc
  .tuple(anyData, fc.integer({ min: 1, max: 5 }))
  .chain(([data, shards]) =>
    fc.record({
      data: fc.constant(data),
      filters: filters(data),
      config,
      productBounds: boundsAmong(data.products, shards),
      cutoutBounds: boundsAmong(data.cutouts, shards),
    }),
  );

function shardsOf({ filters: chosen, config: source, productBounds, cutoutBounds }: Case) {
  const reads = rangesOf(jobOf(chosen, source).source_config ?? { type: 'both', filters: NO_MATCHES });
  const range = (bounds: readonly string[], i: number) => ({ from: bounds[i - 1], before: bounds[i] });
  return Array.from({ length: productBounds.length + 1 }, (_, index) =>
    jobOf(chosen, {
      ...source,
      shard: {
        index,
        of: productBounds.length + 1,
        ...(reads.products && { products: range(productBounds, index) }),
        ...(reads.cutouts && { cutouts: range(cutoutBounds, index) }),
      },
    }),
  );
}
const NO_MATCHES = { include_matched_cutouts: false };

const listed = async (input: ReturnType<typeof jobOf>): Promise<string[]> =>
  (await collect({ input, database: supabase.database })).ids;

describe('shards of a listing', () => {
  test('are it, each image once, whatever it reads and wherever they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, async (some) => {
        await supabase.sql('truncate products, datasets, cutout_images cascade');
        await add(some.data);
        await insert('datasets', [{ id: DATASET, name: 'any', created_at: '2026-01-01' }]);
        const inDataset = [...some.data.products.filter((_, i) => i % 3 !== 0), randomUUID()];
        await insert(
          'dataset_products',
          inDataset.map((id) => ({ dataset_id: DATASET, product_id: id, added_at: '2026-01-01' })),
        );
        const whole = await listed(jobOf(some.filters, some.config));
        const parts = await Promise.all(shardsOf(some).map(listed));
        expect(parts.flat().toSorted()).toEqual(whole.toSorted());
      }),
      { numRuns: 15, endOnFailure: true },
    );
  });

  test('have a row that comes while they are read in one of them at most, and in exactly one when they are read anew', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, anyData, async (any, more) => {
        const some = { ...any, filters: { ...any.filters, product_source: 'all' } };
        await supabase.sql('truncate products, datasets, cutout_images cascade');
        await add(some.data);
        const before = await listed(jobOf(some.filters, some.config));
        const shards = shardsOf(some);
        const streams = shards.map((input) => listImages({ input, database: supabase.database }));
        const seen: string[] = [];
        for (const stream of streams) {
          const first = await stream.next();
          if (first.done !== true) seen.push(first.value.id);
        }
        const old = new Set([...some.data.products, ...some.data.cutouts]);
        const isNew = (id: string): boolean => !old.has(id);
        await add({ ...more, products: more.products.filter(isNew), cutouts: more.cutouts.filter(isNew) });
        for (const stream of streams) for await (const { id } of stream) seen.push(id);
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen).toEqual(expect.arrayContaining(before));

        const parts = await Promise.all(shards.map(listed));
        expect(parts.flat().toSorted()).toEqual((await listed(jobOf(some.filters, some.config))).toSorted());
      }),
      { numRuns: 6, endOnFailure: true },
    );
  });

  test('name an unknown id in one of them, and the failed images of another job each in its own', async () => {
    const ids = Array.from({ length: 12 }, (_, i) => `${i.toString(16)}0000000-0000-4000-8000-000000000000`);
    await add({ products: ids.filter((_, i) => i !== 7), cutouts: [], salt: 1 });
    await supabase.sql('update products set frame_count = 2');
    await supabase.sql(`insert into embedding_jobs (id) values ('${FAILED_JOB}')`);
    const failed = [2, 3, 9].map((i) => `${ids[i] ?? ''}_synthetic_0`);
    await insert(
      'embedding_job_failures',
      failed.map((image_id) => ({
        job_id: FAILED_JOB,
        collection: 'products',
        image_id,
        url: 'any',
        code: 'http_404',
        retryable: false,
        created_at: '2026-01-01',
      })),
    );
    const some: Case = {
      data: { products: ids, cutouts: [], salt: 0 },
      filters: { product_source: 'selected', product_ids: ids },
      config: { type: 'products' },
      productBounds: [ids[3] ?? '', ids[8] ?? ''],
      cutoutBounds: [],
    };
    const unknown: string[][] = [];
    const retried: string[][] = [];
    for (const input of shardsOf(some)) {
      const tally = createListingTally();
      await collect({ input, database: supabase.database, tally });
      unknown.push(tally.unknown_product_ids);
      const again = await collect({
        input: { ...input, retry_failed_of: FAILED_JOB },
        database: supabase.database,
      });
      retried.push(again.ids);
    }
    expect(unknown).toEqual([[], [ids[7]], []]);
    expect(retried).toEqual([[failed[0]], [failed[1]], [failed[2]]]);
  });
});

describe('a shard that would leave a gap, or cover what another covers', () => {
  const A = 'a0000000-0000-4000-8000-000000000000';
  const B = 'b0000000-0000-4000-8000-000000000000';
  const middle = { index: 1, of: 3, products: { from: A, before: B } };

  test.each<[string, Row, Record<string, string>]>([
    ['no part of it', { index: 3, of: 3 }, { index: 'expected a whole number below 3, as of is 3' }],
    [
      'the first with a beginning',
      { ...middle, index: 0 },
      { 'products.from': 'expected no key, as shard 0 of 3 is open on this side' },
    ],
    [
      'the last with an end',
      { ...middle, index: 2 },
      { 'products.before': 'expected no key, as shard 2 of 3 is open on this side' },
    ],
    [
      'one between without bounds',
      { index: 1, of: 3 },
      {
        'products.from': 'is missing; expected a uuid, as shard 1 of 3 ends here',
        'products.before': 'is missing; expected a uuid, as shard 1 of 3 ends here',
      },
    ],
    [
      'bounds the wrong way round',
      { ...middle, products: { from: B, before: A } },
      { 'products.before': 'expected a uuid that is not below from' },
    ],
    [
      'a bound that is none',
      { ...middle, products: { from: 'a', before: B } },
      { 'products.from': 'expected a uuid' },
    ],
    ['too many', { index: 0, of: 501 }, { of: 'expected a whole number from 1 to 500, without quotes' }],
    [
      'a range that nobody reads',
      { ...middle, cutouts: { from: A, before: B } },
      { cutouts: 'is not read, as this job lists no cutouts by their own ids; leave it out' },
    ],
  ])('%s', (_, shard, expected) => {
    const parse = (): unknown => jobOf({}, { type: 'products', shard });
    expect(parse).toThrow(InputError);
    try {
      parse();
    } catch (error) {
      const issues = (error as InputError).issues.map(({ key, message }) => [key, message]);
      const named = Object.entries(expected).map(([key, message]) => [
        `source_config.shard.${key}`,
        expect.stringContaining(message),
      ]);
      expect(issues).toEqual(named);
    }
  });

  test('keys of either case are one, and an empty range is one', () => {
    const shard = { index: 1, of: 3, products: { from: A.toUpperCase(), before: A } };
    const input = parseEmbeddingInput({
      job_id: FAILED_JOB,
      collection_name: 'c',
      source_config: { type: 'products', shard },
    });
    expect(input.source_config?.shard).toEqual({ index: 1, of: 3, products: { from: A, before: A } });
  });
});
