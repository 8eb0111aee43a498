import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { HandlerError } from '../../src/base/errors.ts';
import { onlyNew } from '../../src/embedding/append.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import { createListingTally } from '../../src/embedding/listing-tally.ts';
import { payloadOf } from '../../src/embedding/payload.ts';
import { pointIdOf } from '../../src/embedding/point-id.ts';
import { listImages } from '../../src/embedding/which-images.ts';
import type { VectorStore } from '../../src/qdrant/store.ts';
import { testQdrant, type TestQdrant } from '../support/qdrant.ts';
import { testSupabase } from '../support/supabase.ts';
import { cutoutId, jobOf, productId, range } from './catalogue.ts';

const OURS = 'demo@ours';
const DIM = 4;

let qdrant: TestQdrant;
let made = 0;
beforeAll(async () => {
  qdrant = await testQdrant();
});
afterAll(async () => {
  await qdrant[Symbol.asyncDispose]();
});

/** A collection of its own for each test. */
async function emptyCollection(): Promise<string> {
  const name = `collection-${(made += 1)}`;
  await qdrant.store.ensure(name, DIM);
  return name;
}

function frame(collection: string, product: number, index: number): ImageRef {
  const id = `${productId(product)}_synthetic_${index}`;
  const metadata = {
    source: 'product',
    product_id: productId(product),
    image_type: 'synthetic',
    frame_index: index,
  };
  return {
    id,
    pointId: pointIdOf(id),
    collection,
    type: 'product',
    url: `https://i.test/${id}`,
    storage: null,
    metadata,
  };
}

function cutout(collection: string, j: number, product?: number): ImageRef {
  const id = cutoutId(j);
  const match = product === undefined ? {} : { product_id: productId(product), is_positive_pair: true };
  const metadata = { source: 'cutout', cutout_id: id, ...match };
  return {
    id,
    pointId: id,
    collection,
    type: 'cutout',
    url: `https://i.test/${id}`,
    storage: null,
    metadata,
  };
}

/** Writes points as this worker does; with null as a worker before it did, without the mark. */
async function store(refs: readonly ImageRef[], model: string | null): Promise<void> {
  for (const [collection, same] of Map.groupBy(refs, (ref) => ref.collection)) {
    await qdrant.store.upsert(
      collection,
      same.map((ref) => {
        const stamped = payloadOf(ref, { model: model ?? '', jobId: 'job', content: 'ff' });
        const { model: _model, job_id: _job, content: _content, ...unstamped } = stamped;
        const payload = model === null ? unstamped : stamped;
        return { id: ref.pointId, vector: new Float32Array([1, 0, 0, 0]), payload };
      }),
    );
  }
}

/** As a job sees it that takes points at their word. */
async function left(refs: readonly ImageRef[], vectors: VectorStore = qdrant.store) {
  const tally = createListingTally();
  const kept: string[] = [];
  const options = { store: vectors, model: OURS, tally, trustPoints: true };
  for await (const { id } of onlyNew(refs, options)) kept.push(id);
  return { kept, skipped: tally.already_in_collection };
}

/** As a job sees it that looks whether images have changed: with the hash of those that are to be looked at. */
async function toLookAt(refs: readonly ImageRef[], unmarked?: (ids: string[]) => void) {
  const tally = createListingTally();
  const kept: [string, string | undefined][] = [];
  const options = {
    store: qdrant.store,
    model: OURS,
    tally,
    trustPoints: false,
    unmarked: (some: readonly ImageRef[]) => Promise.resolve(unmarked?.(ids(some))),
  };
  for await (const { id, content } of onlyNew(refs, options)) kept.push([id, content]);
  return { kept, skipped: tally.already_in_collection };
}

const ids = (refs: readonly ImageRef[]): string[] => refs.map((ref) => ref.id);

describe('only what the collection lacks', () => {
  test('a collection that does not exist, and an empty one, lack everything', async () => {
    const empty = await emptyCollection();
    const refs = [frame('none-such', 1, 0), frame(empty, 1, 0), cutout('none-such', 1)];
    expect(await left(refs)).toEqual({ kept: ids(refs), skipped: 0 });
  });

  test('points of this model are compared one by one: a new frame of a known product is new', async () => {
    const name = await emptyCollection();
    await store([frame(name, 1, 0), frame(name, 1, 1), cutout(name, 1)], OURS);
    const refs = [frame(name, 1, 0), frame(name, 1, 1), frame(name, 1, 2), cutout(name, 1), cutout(name, 2)];
    expect(await left(refs)).toEqual({ kept: ids([frame(name, 1, 2), cutout(name, 2)]), skipped: 3 });
  });

  test('a product with points from before the mark is left out whole, whatever their ids', async () => {
    const name = await emptyCollection();
    const old = { ...frame(name, 1, 0), id: 'old-id', pointId: pointIdOf('old-id') };
    await store([old], null);
    await store([frame(name, 2, 0)], OURS);
    const refs = [
      frame(name, 1, 0),
      frame(name, 1, 7),
      frame(name, 2, 0),
      frame(name, 2, 1),
      frame(name, 3, 0),
    ];
    expect(await left(refs)).toEqual({ kept: ids([frame(name, 2, 1), frame(name, 3, 0)]), skipped: 3 });
  });

  test('a cutout from before the mark is there, and says nothing about its product', async () => {
    const name = await emptyCollection();
    await store([cutout(name, 1, 5)], null);
    const refs = [cutout(name, 1, 5), cutout(name, 2, 5), frame(name, 5, 0)];
    expect(await left(refs)).toEqual({ kept: ids([cutout(name, 2, 5), frame(name, 5, 0)]), skipped: 1 });
  });

  test('an old product in one collection says nothing about another collection, nor about its cutouts', async () => {
    const [one, two] = [await emptyCollection(), await emptyCollection()];
    await store([frame(one, 1, 0)], null);
    const refs = [frame(one, 1, 1), frame(two, 1, 1), cutout(one, 1, 1)];
    expect(await left(refs)).toEqual({ kept: ids([frame(two, 1, 1), cutout(one, 1, 1)]), skipped: 1 });
  });

  test("another model's points are not ours", async () => {
    const name = await emptyCollection();
    const refs = [frame(name, 1, 0), cutout(name, 1)];
    await store(refs, 'demo@theirs');
    expect(await left(refs)).toEqual({ kept: ids(refs), skipped: 0 });
  });

  test('what has a point of ours is passed on with the hash of its bytes, and what says nothing of them is left out', async () => {
    const name = await emptyCollection();
    const [hashed, unhashed] = [cutout(name, 1), cutout(name, 2)];
    await store([hashed, unhashed, frame(name, 1, 0)], OURS);
    await store([cutout(name, 3)], null);
    await store([cutout(name, 4)], 'demo@theirs');
    await qdrant.store.upsert(name, [
      { id: unhashed.pointId, vector: new Float32Array([1, 0, 0, 0]), payload: { model: OURS } },
    ]);
    const refs = [hashed, unhashed, frame(name, 1, 0), cutout(name, 3), cutout(name, 4), cutout(name, 5)];
    expect(await toLookAt(refs)).toEqual({
      kept: [
        [hashed.id, 'ff'],
        [frame(name, 1, 0).id, 'ff'],
        [cutout(name, 4).id, undefined],
        [cutout(name, 5).id, undefined],
      ],
      skipped: 2,
    });
  });

  test('a cutout whose row does not say that it has its point is told of, unless it is to be looked at first', async () => {
    const name = await emptyCollection();
    const unmarked = [1, 2].map((j) => ({ ...cutout(name, j), marked: false }));
    await store(unmarked, OURS);
    await qdrant.store.upsert(name, [
      { id: cutoutId(2), vector: new Float32Array([1, 0, 0, 0]), payload: { model: OURS } },
    ]);
    const marked = { ...cutout(name, 3), marked: true };
    await qdrant.store.upsert(name, [
      { id: marked.pointId, vector: new Float32Array([1, 0, 0, 0]), payload: { model: OURS } },
    ]);
    const told: string[] = [];
    await toLookAt([...unmarked, marked], (some) => told.push(...some));
    expect(told).toEqual([cutoutId(2)]);
  });

  test('a frame of ours is looked at though its product has points from before the mark', async () => {
    const name = await emptyCollection();
    const old = { ...frame(name, 1, 0), id: 'old-id', pointId: pointIdOf('old-id') };
    await store([old], null);
    await store([frame(name, 1, 1)], OURS);
    expect(await toLookAt([frame(name, 1, 0), frame(name, 1, 1)])).toEqual({
      kept: [[frame(name, 1, 1).id, 'ff']],
      skipped: 1,
    });
  });

  test('ids that are numbers, also above 2^53', async () => {
    const name = await emptyCollection();
    const numbered = ['7', '18446744073709551615', '9007199254740993'].map((id) => ({
      ...cutout(name, 1),
      id,
      pointId: pointIdOf(id),
    }));
    await store(numbered.slice(0, 2), OURS);
    expect(await left(numbered)).toEqual({ kept: ['9007199254740993'], skipped: 2 });
  });

  test('thousands of images: the order is kept, and the store is asked by batch', async () => {
    const name = await emptyCollection();
    const refs = range(2_000).flatMap((i) => (i < 1_000 ? [frame(name, i, 0)] : [cutout(name, i)]));
    await store(
      refs.filter((_, i) => i % 3 === 0),
      OURS,
    );
    await store(
      refs.filter((_, i) => i % 3 === 1),
      null,
    );
    let asked = 0;
    const counted: VectorStore = {
      ...qdrant.store,
      payloads: (...query) => ((asked += 1), qdrant.store.payloads(...query)),
      scroll: (...query) => ((asked += 1), qdrant.store.scroll(...query)),
    };
    expect(await left(refs, counted)).toEqual({
      kept: ids(refs.filter((_, i) => i % 3 === 2)),
      skipped: 1_334,
    });
    expect(asked).toBeLessThanOrEqual(2 * Math.ceil(refs.length / 256));
  });

  test('it reads a few batches ahead of its reader, and no more', async () => {
    const name = await emptyCollection();
    let read = 0;
    function* endless(): Generator<ImageRef> {
      for (;;) yield cutout(name, (read += 1));
    }
    const images = onlyNew(endless(), {
      store: qdrant.store,
      model: OURS,
      tally: createListingTally(),
      trustPoints: true,
    });
    await images.next();
    await images.return(undefined);
    expect(read).toBeLessThanOrEqual(5 * 256);
  });

  test('a stop ends it with the reason', async () => {
    const reason = new HandlerError('stopped', 'enough');
    const name = await emptyCollection();
    const images = onlyNew([cutout(name, 1)], {
      store: qdrant.store,
      model: OURS,
      tally: createListingTally(),
      trustPoints: true,
      signal: AbortSignal.abort(reason),
    });
    await expect(images.next()).rejects.toBe(reason);
  });
});

test('a job that only appends: all the first time, nothing the second, what came since the third', async () => {
  await using supabase = await testSupabase();
  const add = (from: number, to: number): Promise<unknown> =>
    supabase.sql(`
      insert into products (id, barcode, frames_path, frame_count)
      select ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'b' || i, 'shelf/' || i, 3
      from generate_series(${from}, ${to}) i;
      insert into cutout_images (id, external_id, image_url)
      select ('c0000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, i, 'https://i.test/' || i
      from generate_series(${from}, ${to}) i`);
  const name = await emptyCollection();
  const targets = { product_collection: name, cutout_collection: name };
  const input = jobOf({}, { append_only_new: true, append_trust_points: true, ...targets });
  const run = async () => {
    const tally = createListingTally();
    const options = { input, database: supabase.database, store: qdrant.store, model: OURS, tally };
    const refs = await Array.fromAsync(listImages(options));
    await store(refs, OURS);
    return { written: refs.length, skipped: tally.already_in_collection };
  };
  await add(0, 299);
  expect(await run()).toEqual({ written: 600, skipped: 0 });
  expect(await run()).toEqual({ written: 0, skipped: 600 });
  await add(300, 309);
  expect(await run()).toEqual({ written: 20, skipped: 600 });
  expect(await qdrant.store.count(name)).toBe(620);
});
