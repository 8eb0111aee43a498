import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { QdrantClient } from '@qdrant/js-client-rest';
import fc from 'fast-check';

import { createVectorStore, type Point, type VectorStore } from '../../src/qdrant/store.ts';

export interface QdrantTarget {
  url: string;
  apiKey?: string | undefined;
  close(): Promise<void>;
}

/** What every server that we call Qdrant has to do, the embedded one as the real one. Leaves nothing behind. */
export function describeQdrant(name: string, open: () => Promise<QdrantTarget>): void {
  describe(name, () => {
    const prefix = `gpu_handlers_test_${randomUUID().slice(0, 8)}_`;
    let target: QdrantTarget;
    let store: VectorStore;
    let client: QdrantClient;
    let made = 0;

    const fresh = (): string => `${prefix}${String((made += 1))}`;
    const filled = async (size: number, points: readonly Point[]): Promise<string> => {
      const collection = fresh();
      await store.ensure(collection, size);
      await store.upsert(collection, points);
      return collection;
    };

    beforeAll(async () => {
      target = await open();
      store = createVectorStore(target);
      client = new QdrantClient({
        url: target.url,
        checkCompatibility: false,
        ...(target.apiKey === undefined ? {} : { headers: { 'api-key': target.apiKey } }),
      });
    });

    afterAll(async () => {
      const { collections } = await client.getCollections();
      const ours = collections.filter((collection) => collection.name.startsWith(prefix));
      await Promise.all(ours.map((collection) => client.deleteCollection(collection.name)));
      await target.close();
    });

    describe('collections', () => {
      test('a collection is absent, then created once, then found with its size and distance', async () => {
        const collection = fresh();
        expect(await store.inspect(collection)).toBeNull();
        expect(await store.ensure(collection, 4)).toBe('created');
        expect(await store.ensure(collection, 4)).toBe('existed');
        expect(await store.inspect(collection)).toEqual({ size: 4, distance: 'Cosine' });
      });

      test('the payload indexes of the contract, and that of the job, are there, also in a collection made without them', async () => {
        const collection = fresh();
        await client.createCollection(collection, { vectors: { size: 4, distance: 'Cosine' } });
        await client.createPayloadIndex(collection, {
          field_name: 'source',
          field_schema: 'keyword',
          wait: true,
        });
        await store.ensure(collection, 4);
        const { payload_schema: schema } = await client.getCollection(collection);
        const types = Object.fromEntries(Object.entries(schema).map(([k, v]) => [k, v?.data_type]));
        expect(types).toEqual({
          source: 'keyword',
          product_id: 'keyword',
          barcode: 'keyword',
          is_primary: 'bool',
          job_id: 'keyword',
          model: 'keyword',
        });
      });

      test('many who ensure at once all succeed, and one of them created it', async () => {
        const collection = fresh();
        const said = await Promise.all(Array.from({ length: 6 }, () => store.ensure(collection, 8)));
        expect(said.filter((s) => s === 'created')).toHaveLength(1);
        expect(said.filter((s) => s === 'existed')).toHaveLength(5);
      });

      test('another size is refused, with collection, expected and found size', async () => {
        const collection = fresh();
        await store.ensure(collection, 4);
        await expect(store.ensure(collection, 5)).rejects.toMatchObject({
          code: 'qdrant_dimension_mismatch',
          retryable: false,
          message: expect.stringMatching(new RegExp(`${collection}.*\\b4\\b.*\\b5\\b`)),
        });
      });

      test('another distance is refused', async () => {
        const collection = fresh();
        await client.createCollection(collection, { vectors: { size: 4, distance: 'Dot' } });
        await expect(store.ensure(collection, 4)).rejects.toMatchObject({
          code: 'qdrant_distance_mismatch',
          message: expect.stringMatching(/Dot.*Cosine/),
        });
      });

      test('the official client finds, lists and deletes them', async () => {
        const collection = fresh();
        expect(await client.collectionExists(collection)).toEqual({ exists: false });
        await store.ensure(collection, 4);
        expect(await client.collectionExists(collection)).toEqual({ exists: true });
        const { collections } = await client.getCollections();
        expect(collections.map((c) => c.name)).toContain(collection);
        expect(await client.deleteCollection(collection)).toBe(true);
        expect(await store.inspect(collection)).toBeNull();
      });

      test('creating one twice is a conflict', async () => {
        const collection = fresh();
        await client.createCollection(collection, { vectors: { size: 4, distance: 'Cosine' } });
        await expect(
          client.createCollection(collection, { vectors: { size: 4, distance: 'Cosine' } }),
        ).rejects.toMatchObject({ status: 409 });
      });

      test('an alias stands for its collection, and moves at once', async () => {
        const alias = fresh();
        const one = await filled(2, [{ id: 1, vector: Float32Array.of(1, 0), payload: {} }]);
        const two = await filled(2, []);
        await client.updateCollectionAliases({
          actions: [{ create_alias: { collection_name: one, alias_name: alias } }],
        });
        expect(await store.count(alias)).toBe(1);
        expect(await store.inspect(alias)).toEqual({ size: 2, distance: 'Cosine' });
        await client.updateCollectionAliases({
          actions: [
            { delete_alias: { alias_name: alias } },
            { create_alias: { collection_name: two, alias_name: alias } },
          ],
        });
        expect(await store.count(alias)).toBe(0);
        expect((await client.getCollectionAliases(two)).aliases).toEqual([
          { alias_name: alias, collection_name: two },
        ]);
      });

      test('aliases are set, set over and removed, those of several collections in one request', async () => {
        const [one, two] = [await filled(2, []), await filled(2, [])];
        const [a, b] = [fresh(), fresh()];
        const ours = async (): Promise<unknown> => {
          const { aliases, collections } = await store.names();
          expect([collections.has(one), collections.has(a)]).toEqual([true, false]);
          expect(await store.aliases()).toEqual(aliases);
          return Object.fromEntries([...aliases].filter(([alias]) => [a, b].includes(alias)));
        };
        await store.changeAliases(
          new Map([
            [a, one],
            [b, two],
          ]),
        );
        expect(await ours()).toEqual({ [a]: one, [b]: two });
        await store.changeAliases(
          new Map([
            [a, two],
            [b, null],
            [fresh(), null],
          ]),
        );
        expect(await ours()).toEqual({ [a]: two });
        await store.changeAliases(new Map());
      });

      test("no alias has a collection's name, or names what is not there; what came before it in the request stands", async () => {
        const [one, two] = [await filled(2, []), await filled(2, [])];
        const alias = fresh();
        for (const [name, of] of [
          [two, one],
          [fresh(), fresh()],
        ] as const) {
          const changes = store.changeAliases(
            new Map([
              [alias, one],
              [name, of],
            ]),
          );
          await expect(changes).rejects.toMatchObject({ retryable: false });
          expect((await store.aliases()).get(alias)).toBe(one);
          await store.changeAliases(new Map([[alias, null]]));
        }
        await store.changeAliases(new Map([[alias, one]]));
        await expect(
          client.createCollection(alias, { vectors: { size: 2, distance: 'Cosine' } }),
        ).rejects.toMatchObject({ status: expect.any(Number) });
        expect(await store.inspect(alias)).toEqual({ size: 2, distance: 'Cosine' });
      });

      test('a collection is dropped by its own name alone, with its aliases, and may be dropped again', async () => {
        const collection = await filled(2, []);
        const alias = fresh();
        await store.changeAliases(new Map([[alias, collection]]));
        await store.drop(alias);
        expect(await store.inspect(collection)).not.toBeNull();
        await store.drop(collection);
        await store.drop(collection);
        expect(await store.inspect(alias)).toBeNull();
        expect((await store.aliases()).has(alias)).toBe(false);
      });

      test('points are written, read and counted by an alias', async () => {
        const collection = await filled(2, []);
        const alias = fresh();
        await store.changeAliases(new Map([[alias, collection]]));
        expect(await store.ensure(alias, 2)).toBe('existed');
        await store.upsert(alias, [{ id: 1, vector: Float32Array.of(1, 0), payload: { id: 'a', n: 1 } }]);
        expect(await store.countExactly(collection)).toBe(1);
        expect(await store.payloads(alias, [1], ['id'])).toEqual(new Map([['1', { id: 'a' }]]));
        const pages = store.scroll(alias, { withVectors: true });
        expect((await Array.fromAsync(pages)).flat()).toEqual([
          { id: 1, vector: Float32Array.of(1, 0), payload: { id: 'a', n: 1 } },
        ]);
        expect(await store.search(alias, Float32Array.of(1, 0), { limit: 1 })).toHaveLength(1);
      });

      test('a collection that is absent is an error for everything but inspect and ensure', async () => {
        const absent = fresh();
        const notFound = { code: 'qdrant_not_found', status: 404, retryable: false };
        const point = { id: 1, vector: Float32Array.of(1), payload: {} };
        await expect(store.upsert(absent, [point])).rejects.toMatchObject(notFound);
        await expect(store.payloads(absent, [1], ['id'])).rejects.toMatchObject(notFound);
        await expect(store.count(absent)).rejects.toMatchObject(notFound);
        await expect(store.search(absent, Float32Array.of(1), { limit: 1 })).rejects.toMatchObject(notFound);
        await expect(store.scroll(absent, { keys: [] }).next()).rejects.toMatchObject(notFound);
      });
    });

    describe('points', () => {
      const IDS = [
        0,
        7,
        Number.MAX_SAFE_INTEGER,
        2n ** 53n + 1n,
        2n ** 63n,
        2n ** 64n - 1n,
        '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
        'ffffffff-ffff-4fff-bfff-ffffffffffff',
      ];

      test('ids are exact both ways, and in order: integers by size, then uuids', async () => {
        const points = IDS.map((id) => ({ id, vector: Float32Array.of(1, 0), payload: { id: String(id) } }));
        const collection = await filled(2, points.toReversed());
        const seen: unknown[] = [];
        for await (const page of store.scroll(collection, { keys: ['id'], pageSize: 3 })) {
          expect(page.length).toBeLessThanOrEqual(3);
          for (const { id, payload } of page) {
            expect(payload).toEqual({ id: String(id) });
            seen.push(id);
          }
        }
        expect(seen).toEqual(IDS);
        const found = await store.payloads(collection, IDS, ['id']);
        expect([...found.keys()].sort()).toEqual(IDS.map(String).sort());
        for (const [id, payload] of found) expect(payload).toEqual({ id });
      });

      test('a uuid in capitals is the same point, and is found under the name it was asked by', async () => {
        const id = '6BA7B810-9DAD-11D1-80B4-00C04FD430C8';
        const collection = await filled(2, [{ id, vector: Float32Array.of(1, 0), payload: { n: 1 } }]);
        expect(await store.payloads(collection, [id], ['n'])).toEqual(new Map([[id, { n: 1 }]]));
        expect(await store.payloads(collection, [id.toLowerCase()], ['n'])).toEqual(
          new Map([[id.toLowerCase(), { n: 1 }]]),
        );
      });

      test('an upsert replaces the whole point', async () => {
        const collection = await filled(2, [
          { id: 1, vector: Float32Array.of(1, 0), payload: { a: 1, b: 2 } },
        ]);
        await store.upsert(collection, [{ id: 1, vector: Float32Array.of(0, 1), payload: { a: 3 } }]);
        const [page] = await Array.fromAsync(
          store.scroll(collection, { keys: ['a', 'b'], withVectors: true }),
        );
        expect(page).toEqual([{ id: 1, payload: { a: 3 }, vector: Float32Array.of(0, 1) }]);
        expect(await store.count(collection)).toBe(1);
      });

      test('a point given twice in one call is stored as it was given last', async () => {
        const points = Array.from({ length: 600 }, (_, i) => ({
          id: i % 300,
          vector: Float32Array.of(1, 0),
          payload: { round: Math.floor(i / 300) },
        }));
        const collection = await filled(2, points);
        expect(await store.count(collection)).toBe(300);
        expect(await store.count(collection, { must: [{ key: 'round', match: 1 }] })).toBe(300);
      });

      test('thousands of points go in several requests and are all there', async () => {
        const points = Array.from({ length: 2_000 }, (_, i) => ({
          id: i,
          vector: Float32Array.of(Math.cos(i), Math.sin(i)),
          payload: { n: i },
        }));
        const collection = await filled(2, points);
        expect(await store.count(collection)).toBe(2_000);
        const pages = await Array.fromAsync(store.scroll(collection, { keys: ['n'] }));
        expect(pages.flat().map((p) => p.payload.n)).toEqual(points.map((p) => p.payload.n));
        const found = await store.payloads(collection, points.map((p) => p.id).concat(9_999), ['n']);
        expect(found.size).toBe(2_000);
        expect(found.get('1234')).toEqual({ n: 1_234 });
      });

      test('only the wanted keys come back', async () => {
        const payload = { a: 1, b: { c: 2, d: 3 }, e: null };
        const collection = await filled(2, [{ id: 1, vector: Float32Array.of(1, 0), payload }]);
        expect((await store.payloads(collection, [1], ['a', 'b.c'])).get('1')).toEqual({ a: 1, b: { c: 2 } });
        expect((await store.payloads(collection, [1], [])).get('1')).toEqual({});
        const [whole] = await store.search(collection, Float32Array.of(1, 0), { limit: 1 });
        expect(whole?.payload).toEqual(payload);
        const [part] = await store.search(collection, Float32Array.of(1, 0), { limit: 1, keys: ['e'] });
        expect(part?.payload).toEqual({ e: null });
      });

      test('large texts and all of unicode survive', async () => {
        const long = `data:,${'x'.repeat(1_000_000)}`;
        const payload = { 'clé ✓': ['𝄞', '\u2028', '\0', '"\\', '\uE0000', { '\0': 1 }] };
        const collection = await filled(2, [
          { id: 1, vector: Float32Array.of(1, 0), payload: { ...payload, long } },
        ]);
        const { points } = await client.scroll(collection);
        const { long: read, ...rest } = points[0]?.payload ?? {};
        // Not toEqual: nobody wants to read that difference.
        expect(read === long).toBe(true);
        expect(rest).toEqual(payload);
        const texts = { key: '"clé ✓"', any: ['\0'] };
        expect(await store.count(collection, { must: [texts] })).toBe(1);
      });

      test('integers above 2^53 in a payload come back as plain numbers', async () => {
        const collection = await filled(2, [
          { id: 1, vector: Float32Array.of(1, 0), payload: { n: 2 ** 60 } },
        ]);
        expect((await store.payloads(collection, [1], ['n'])).get('1')).toEqual({ n: 2 ** 60 });
      });

      test('a vector of the wrong length is refused, and nothing of its request is stored', async () => {
        const collection = await filled(3, []);
        const points = [
          { id: 1, vector: Float32Array.of(1, 0, 0), payload: {} },
          { id: 2, vector: Float32Array.of(1, 0), payload: {} },
        ];
        await expect(store.upsert(collection, points)).rejects.toMatchObject({
          code: 'qdrant_rejected',
          status: 400,
          retryable: false,
          message: expect.stringMatching(/expected dim: 3, got 2/),
        });
        expect(await store.count(collection)).toBe(0);
      });

      test('the official client writes lists and batches, reads, and deletes by id and by filter', async () => {
        const collection = await filled(2, []);
        const list = await client.upsert(collection, {
          wait: true,
          points: [
            { id: 1, vector: [1, 0], payload: { colour: 'red' } },
            { id: 2, vector: [0, 2], payload: { colour: 'blue' } },
          ],
        });
        expect(list).toMatchObject({ status: 'completed', operation_id: expect.any(Number) });
        await client.upsert(collection, {
          wait: true,
          batch: {
            ids: [3, 4],
            vectors: [
              [1, 1],
              [3, 4],
            ],
            payloads: [{ colour: 'red' }, { colour: 'green' }],
          },
        });
        const read = await client.retrieve(collection, { ids: [4, 2, 99], with_vector: true });
        expect(read.find((p) => p.id === 2)).toMatchObject({ vector: [0, 1], payload: { colour: 'blue' } });
        expect(read.find((p) => p.id === 4)?.vector).toEqual(
          [Math.fround(0.6), Math.fround(0.8)].map(shortest),
        );
        expect(read).toHaveLength(2);
        await client.delete(collection, { wait: true, points: [2] });
        await client.delete(collection, {
          wait: true,
          filter: { must: [{ key: 'colour', match: { value: 'red' } }] },
        });
        const left = await client.scroll(collection, { with_payload: false });
        expect(left).toMatchObject({ points: [{ id: 4 }], next_page_offset: null });
        expect(left.points[0]?.payload).toBeFalsy();
      });
    });

    describe('filters', () => {
      const PAYLOADS = [
        {
          source: 'product',
          product_id: 'a',
          n: 1,
          tags: ['x', 'y'],
          primary: true,
          nested: { list: [{ k: 1 }, { k: 2 }] },
        },
        { source: 'product', product_id: 'b', n: 2, tags: [], primary: false, nested: { deep: { k: 'v' } } },
        { source: 'cutout', product_id: null, n: 3.5, tags: ['y'], note: 'a long note' },
        { source: 'cutout', n: '3', tags: 'x' },
        {},
      ];
      let collection: string;

      beforeAll(async () => {
        const vector = Float32Array.of(1, 0);
        collection = await filled(
          2,
          PAYLOADS.map((payload, id) => ({ id, vector, payload })),
        );
      });

      const match = (key: string, value: string | number | boolean) => ({ key, match: { value } });
      type Filter = NonNullable<NonNullable<Parameters<QdrantClient['scroll']>[1]>['filter']>;
      const CASES: [string, Filter, number[]][] = [
        ['nothing', {}, [0, 1, 2, 3, 4]],
        ['a text', { must: [match('source', 'product')] }, [0, 1]],
        ['an element of a list', { must: [match('tags', 'x')] }, [0, 3]],
        ['an integer, not its text', { must: [match('n', 2)] }, [1]],
        ['true', { must: [match('primary', true)] }, [0]],
        ['false, not absent', { must: [match('primary', false)] }, [1]],
        ['one condition without a list', { must: match('source', 'cutout') }, [2, 3]],
        ['all of must', { must: [match('source', 'product'), match('product_id', 'b')] }, [1]],
        ['none of must_not, absent keys included', { must_not: [match('source', 'product')] }, [2, 3, 4]],
        ['any of should', { should: [match('product_id', 'a'), match('n', '3')] }, [0, 3]],
        [
          'must, should and must_not together',
          {
            must: [match('source', 'product')],
            should: [match('n', 1), match('n', 2)],
            must_not: [match('primary', true)],
          },
          [1],
        ],
        ['any', { must: [{ key: 'product_id', match: { any: ['a', 'b', 'z'] } }] }, [0, 1]],
        ['any of integers', { must: [{ key: 'n', match: { any: [1, 3] } }] }, [0]],
        ['except', { must: [{ key: 'source', match: { except: ['cutout'] } }] }, [0, 1]],
        [
          'except, a list with another element',
          { must: [{ key: 'tags', match: { except: ['y'] } }] },
          [0, 3],
        ],
        ['a part of a text', { must: [{ key: 'note', match: { text: 'long' } }] }, [2]],
        ['a range', { must: [{ key: 'n', range: { gt: 1, lte: 3.5 } }] }, [1, 2]],
        ['a range below', { must: [{ key: 'n', range: { gte: 1, lt: 2 } }] }, [0]],
        ['is_empty', { must: [{ is_empty: { key: 'tags' } }] }, [1, 4]],
        ['is_empty of null and absent', { must: [{ is_empty: { key: 'product_id' } }] }, [2, 3, 4]],
        ['is_null', { must: [{ is_null: { key: 'product_id' } }] }, [2]],
        ['has_id', { must: [{ has_id: [1, 3, 77] }] }, [1, 3]],
        ['not has_id', { must_not: [{ has_id: [1, 3] }] }, [0, 2, 4]],
        ['a nested key', { must: [match('nested.deep.k', 'v')] }, [1]],
        ['a key inside of a list', { must: [match('nested.list[].k', 2)] }, [0]],
        [
          'a filter in a filter',
          { must_not: [{ should: [match('n', 1), { is_empty: { key: 'n' } }] }] },
          [1, 2, 3],
        ],
      ];

      test.each(CASES)('%s', async (_, filter, ids) => {
        const { points } = await client.scroll(collection, { filter });
        expect(points.map((p) => p.id)).toEqual(ids);
        expect(await client.count(collection, { filter, exact: true })).toEqual({ count: ids.length });
        const found = await client.query(collection, { query: [1, 0], filter });
        expect(found.points.map((p) => p.id).sort()).toEqual(ids);
      });

      test("the store's own conditions", async () => {
        const count = (filter: Parameters<VectorStore['count']>[1]) => store.count(collection, filter);
        expect(await count({})).toBe(5);
        expect(await count({ must: [{ key: 'source', match: 'product' }] })).toBe(2);
        expect(await count({ must: [{ key: 'n', match: 3.5 }] })).toBe(1);
        expect(await count({ must: [{ key: 'n', any: [1, 2] }] })).toBe(2);
        expect(await count({ must: [{ key: 'n', any: [1, '3'] }] })).toBe(2);
        expect(await count({ must: [{ key: 'n', any: [] }] })).toBe(0);
        expect(await count({ must: [{ isEmpty: 'tags' }] })).toBe(2);
        expect(
          await count({ must: [{ key: 'source', match: 'cutout' }], mustNot: [{ key: 'tags', match: 'y' }] }),
        ).toBe(1);
        const pages = await Array.fromAsync(
          store.scroll(collection, { keys: [], pageSize: 1, filter: { mustNot: [{ isEmpty: 'source' }] } }),
        );
        expect(pages.map((page) => page.map((p) => p.id))).toEqual([[0], [1], [2], [3]]);
      });
    });

    test('one point comes with its vector, or not at all', async () => {
      const collection = await filled(2, [{ id: 7, vector: Float32Array.of(3, 4), payload: { a: 1, b: 2 } }]);
      const point = await store.point(collection, 7, ['a']);
      expect(point).toMatchObject({ id: 7, payload: { a: 1 } });
      expect(point?.payload).not.toHaveProperty('b');
      expect(Array.from(point?.vector ?? [], (x) => Math.round(x * 1e6) / 1e6)).toEqual([0.6, 0.8]);
      expect(await store.point(collection, 8, ['a'])).toBeUndefined();
    });

    describe('search', () => {
      test('nearest first, by cosine, with limit, offset, threshold and filter', async () => {
        const at = (degrees: number) =>
          Float32Array.of(Math.cos(degrees / 57.29578), Math.sin(degrees / 57.29578));
        const collection = await filled(
          2,
          [0, 30, 60, 90, 180].map((d) => ({
            id: d,
            vector: at(d).map((v) => v * 3),
            payload: { even: d % 20 === 0 },
          })),
        );
        const found = await store.search(collection, at(10), { limit: 3 });
        expect(found.map((p) => p.id)).toEqual([0, 30, 60]);
        expect(found[0]?.score).toBeCloseTo(Math.cos(10 / 57.29578), 5);
        const even = await store.search(collection, at(10), {
          limit: 2,
          filter: { must: [{ key: 'even', match: true }] },
        });
        expect(even.map((p) => p.id)).toEqual([0, 60]);
        const query = [...at(10)];
        const rest = await client.query(collection, { query, limit: 2, offset: 3 });
        expect(rest.points.map((p) => p.id)).toEqual([90, 180]);
        expect(rest.points[1]?.score).toBeLessThan(0);
        const near = await client.query(collection, { query, score_threshold: 0.9 });
        expect(near.points.map((p) => p.id)).toEqual([0, 30]);
        expect(near.points[0]?.payload).toBeFalsy();
        const byId = await client.query(collection, { query: 30, limit: 2, with_vector: true });
        expect(byId.points.map((p) => p.id)).toEqual([0, 60]);
        const batch = await client.queryBatch(collection, {
          searches: [
            { query, limit: 1 },
            { query: { nearest: query }, limit: 2 },
          ],
        });
        expect(batch.map((answer) => answer.points.map((p) => p.id))).toEqual([[0], [0, 30]]);
        await expect(client.query(collection, { query: 12_345 })).rejects.toMatchObject({ status: 404 });
        await expect(client.query(collection, { query: [1, 0, 0] })).rejects.toMatchObject({ status: 400 });
      });

      test('equals a comparison with every vector, made here', async () => {
        const collection = await filled(8, []);
        const number = fc.double({ min: -1, max: 1, noNaN: true });
        const vectors = fc.array(fc.array(number, { minLength: 8, maxLength: 8 }), {
          minLength: 1,
          maxLength: 30,
        });
        await fc.assert(
          fc.asyncProperty(vectors, fc.array(number, { minLength: 8, maxLength: 8 }), async (all, query) => {
            await client.delete(collection, { wait: true, filter: {} });
            const points = all.map((v, id) => ({ id, vector: Float32Array.from(v), payload: {} }));
            await store.upsert(collection, points);
            const found = await store.search(collection, Float32Array.from(query), { limit: 5 });
            const expected = points
              .map(({ vector }) => cosine(vector, Float32Array.from(query)))
              .sort((a, b) => b - a)
              .slice(0, 5);
            expect(found).toHaveLength(expected.length);
            found.forEach(({ id, score }, i) => {
              expect(score).toBeCloseTo(expected[i] ?? Number.NaN, 4);
              const own = points[Number(id)]?.vector ?? new Float32Array();
              expect(score).toBeCloseTo(cosine(own, Float32Array.from(query)), 4);
            });
          }),
          { numRuns: 25 },
        );
      });
    });

    test('any JSON payload and any finite vector come back, the vector normalised', async () => {
      const collection = await filled(4, []);
      const component = fc.float({ noNaN: true, noDefaultInfinity: true, min: -(2 ** 50), max: 2 ** 50 });
      const point = fc.record({
        id: fc.oneof(fc.uuid(), fc.nat(), fc.bigInt(2n ** 53n, 2n ** 64n - 1n)),
        vector: fc.array(component, { minLength: 4, maxLength: 4 }).map((v) => Float32Array.from(v)),
        payload: fc
          .dictionary(
            fc.string({ unit: 'grapheme', minLength: 1 }).filter((key) => key !== '__proto__'),
            fc.jsonValue({ maxDepth: 3 }),
          )
          .filter((payload) => !hasEscapedKey(payload)),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(point, { maxLength: 8 }), async (points) => {
          await client.delete(collection, { wait: true, filter: {} });
          await store.upsert(collection, points);
          const last = new Map(points.map((p) => [String(p.id), p]));
          expect(await store.count(collection)).toBe(last.size);
          const { points: read } = await client.scroll(collection, { limit: 100, with_vector: true });
          expect(read).toHaveLength(last.size);
          for (const { id, vector, payload } of read) {
            const given = last.get(String(id));
            expect(numbers(payload)).toEqual(JSON.parse(JSON.stringify(given?.payload)));
            const expected = normalised(given?.vector ?? new Float32Array());
            (vector as number[]).forEach((v, i) => {
              expect(v).toBeCloseTo(expected[i] ?? Number.NaN, 5);
            });
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}

const FLOAT32_EPSILON = 2 ** -23;

function normalised(vector: Float32Array): number[] {
  const squares = vector.reduce((sum, v) => sum + v * v, 0);
  // A vector of no length is kept as it is; where that begins is Qdrant's choice.
  return Array.from(vector, (v) => (squares < FLOAT32_EPSILON ? v : v / Math.sqrt(squares)));
}

function cosine(a: Float32Array, b: Float32Array): number {
  const [x, y] = [normalised(a), normalised(b)];
  return x.reduce((sum, v, i) => sum + v * (y[i] ?? 0), 0);
}

/** A float32 as the double that its shortest decimal form reads as. */
function shortest(value: number): number {
  const digits = Array.from({ length: 9 }, (_, i) => Number(value.toPrecision(i + 1)));
  return digits.find((d) => Math.fround(d) === Math.fround(value)) ?? value;
}

/**
 * Does any object in it have a key that JSON writes with a backslash? V8's JSON.parse (seen in 13.6, Node 24) may take
 * such a key for another one: where an earlier object of the process with the same keys before it went on with a key that
 * is spelled as the escaped text begins, `"` comes out as a backslash.
 */
function hasEscapedKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([key, v]) => (!Array.isArray(value) && JSON.stringify(key) !== `"${key}"`) || hasEscapedKey(v),
  );
}

/** The official client reads integers above 2^53 as bigints. */
function numbers(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? Number(v) : v)));
}
