import { randomInt, randomUUID } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import fc from 'fast-check';
import { z } from 'zod';

import { StoreError } from '../../src/base/errors.ts';
import { createDatabase, type Database, type Filter } from '../../src/supabase/database.ts';
import { temporaryFolder } from '../support/folder.ts';

export interface Project {
  url: string;
  serviceKey: string;
  close(): Promise<void>;
}

const idRow = z.object({ id: z.string() });
/** Above what a page holds, twice over. */
const CUTOUTS = 2_300;

/**
 * What a Supabase project must do for this package, and what `Database` makes of it. Uses the tables of
 * supabase/migrations, writes rows of its own only, and removes them.
 */
export function supabaseContract(name: string, open: () => Promise<Project>): void {
  describe(`Supabase contract: ${name}`, () => {
    const run = `contract-${randomUUID()}`;
    const firstExternalId = randomInt(1_000_000_000, 2_000_000_000);
    let project: Project;
    let database: Database;
    let client: SupabaseClient;
    let nextExternalId = firstExternalId;

    const cutoutRows = (count: number, values: Record<string, unknown> = {}) =>
      Array.from({ length: count }, () => {
        nextExternalId += 1;
        return {
          id: randomUUID(),
          external_id: nextExternalId,
          image_url: 'https://a.test/x',
          merchant: run,
          ...values,
        };
      });
    const addCutouts = async (count: number, values: Record<string, unknown> = {}): Promise<string[]> => {
      const rows = cutoutRows(count, values);
      await database.insert({ table: 'cutout_images', rows });
      return rows.map((row) => row.id).sort();
    };
    const addProducts = async (count: number): Promise<string[]> => {
      const rows = Array.from({ length: count }, () => ({
        id: randomUUID(),
        barcode: `${run}-${randomUUID()}`,
      }));
      await database.insert({ table: 'products', rows });
      return rows.map((row) => row.id).sort();
    };
    const readIds = async (
      table: string,
      filters: readonly Filter[],
      pageSize?: number,
    ): Promise<string[]> => {
      const ids: string[] = [];
      const query = { table, columns: 'id', schema: idRow, filters };
      for await (const rows of database.pages(pageSize === undefined ? query : { ...query, pageSize })) {
        ids.push(...rows.map((row) => row.id));
      }
      return ids;
    };
    const refused = async (attempt: Promise<unknown>): Promise<StoreError> => {
      const error: unknown = await attempt.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof StoreError)) throw new Error(`expected a StoreError, got ${String(error)}`);
      expect(error.message).not.toContain(project.serviceKey);
      return error;
    };

    beforeAll(async () => {
      project = await open();
      database = createDatabase({ url: project.url, key: project.serviceKey });
      client = createClient(project.url, project.serviceKey, {
        auth: { persistSession: false, autoRefreshToken: false },
      });
    });

    afterAll(async () => {
      await client
        .from('cutout_images')
        .delete()
        .gt('external_id', firstExternalId)
        .lte('external_id', nextExternalId);
      await client.from('products').delete().like('barcode', `${run}%`);
      await client.from('datasets').delete().eq('name', run);
      await client.from('embedding_collections').delete().like('name', `${run}%`);
      await client.from('embedding_jobs').delete().eq('runpod_job_id', run);
      await client.storage.from('frames').remove([`${run}/a b/ü (1).png`]);
      await project.close();
    });

    describe('reading', () => {
      const merchant = `${run}-reading`;
      let ids: string[];
      beforeAll(async () => {
        ids = await addCutouts(CUTOUTS, { merchant });
      });

      test.each([undefined, 700, 5_000])('pages of %s give every row once, in order', async (pageSize) => {
        const read = await readIds(
          'cutout_images',
          [{ column: 'merchant', op: 'eq', value: merchant }],
          pageSize,
        );
        expect(read).toEqual(ids);
      });

      test('a list of 10,000 ids gives those that exist, once', async () => {
        const asked = [
          ...ids,
          ...Array.from({ length: 10_000 - ids.length }, () => randomUUID()),
          ...ids.slice(0, 50),
        ];
        const read = await readIds('cutout_images', [{ column: 'id', op: 'in', value: asked }]);
        expect(read).toEqual(ids);
      });

      test('an empty list gives nothing', async () => {
        expect(await readIds('cutout_images', [{ column: 'id', op: 'in', value: [] }])).toEqual([]);
      });

      test('filters compare, and ask for null', async () => {
        const filters = (more: Filter): Filter[] => [{ column: 'merchant', op: 'eq', value: merchant }, more];
        const externalId = firstExternalId + 10;
        expect(
          await readIds('cutout_images', filters({ column: 'external_id', op: 'lte', value: externalId })),
        ).toHaveLength(10);
        expect(
          await readIds('cutout_images', filters({ column: 'external_id', op: 'lt', value: externalId })),
        ).toHaveLength(9);
        expect(
          await readIds('cutout_images', filters({ column: 'has_embedding', op: 'eq', value: true })),
        ).toEqual([]);
        expect(await readIds('cutout_images', filters({ column: 'predicted_upc', op: 'not_null' }))).toEqual(
          [],
        );
        expect(
          await readIds('cutout_images', filters({ column: 'predicted_upc', op: 'is_null' })),
        ).toHaveLength(CUTOUTS);
        expect(
          await readIds('cutout_images', filters({ column: 'merchant', op: 'neq', value: merchant })),
        ).toEqual([]);
      });

      test('the first row that matches, or none', async () => {
        const query = { table: 'cutout_images', columns: 'id', schema: idRow };
        const [id = ''] = ids;
        expect(await database.find({ ...query, filters: [{ column: 'id', op: 'eq', value: id }] })).toEqual({
          id,
        });
        expect(
          await database.find({ ...query, filters: [{ column: 'id', op: 'eq', value: randomUUID() }] }),
        ).toBeUndefined();
      });

      test('a row that does not fit is an error that names table and column', async () => {
        const schema = z.object({ id: z.string(), predicted_upc: z.string() });
        const filters: Filter[] = [{ column: 'merchant', op: 'eq', value: merchant }];
        const query = { table: 'cutout_images', columns: 'id,predicted_upc', schema, filters };
        const error = await refused(database.find(query));
        expect(error.code).toBe('supabase_bad_row');
        expect(error.message).toMatch(/cutout_images.*predicted_upc/);
      });
    });

    test('rows from the newest on, those of one moment too, each once; and how many there are', async () => {
      const at = ['2026-01-02T00:00:00.000001Z', '2026-01-01T00:00:00Z', '2026-01-03T12:00:00.5Z'];
      const rows = [...at, ...Array.from({ length: 4 }, () => '2026-01-02T00:00:00.000001Z')].map(
        (created_at) => ({
          id: randomUUID(),
          created_at,
          runpod_job_id: run,
        }),
      );
      await database.insert({ table: 'embedding_jobs', rows });
      const filters: Filter[] = [{ column: 'runpod_job_id', op: 'eq', value: run }];
      const schema = z.object({ id: z.string(), created_at: z.string() });
      const query = { table: 'embedding_jobs', columns: 'id,created_at', schema, filters, limit: 3 };
      const read: z.infer<typeof schema>[] = [];
      for (;;) {
        const page = await database.newest({ ...query, after: read.at(-1) });
        read.push(...page);
        if (page.length === 0) break;
      }
      const expected = rows.toSorted(
        (a, b) => Date.parse(b.created_at) - Date.parse(a.created_at) || (a.id < b.id ? 1 : -1),
      );
      expect(read.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
      expect(await database.count({ table: 'embedding_jobs', filters })).toBe(rows.length);
      expect(
        await database.count({
          table: 'embedding_jobs',
          filters: [...filters, { column: 'id', op: 'in', value: [] }],
        }),
      ).toBe(0);
      await database.remove({ table: 'embedding_jobs', filters });
    });

    test('values in lists may hold any character', async () => {
      const names = ['a,b', 'a"b', 'a\\b', '(x)', 'null', 'ü & +', "it's", 'a.b', '"quoted"', '\\'].map(
        (n) => `${run} ${n}`,
      );
      const rows = names.map((merchant) => cutoutRows(1, { merchant })[0] ?? {});
      await database.insert({ table: 'cutout_images', rows });
      const read: string[] = [];
      const schema = z.object({ id: z.string(), merchant: z.string() });
      const query = { table: 'cutout_images', columns: 'id,merchant', schema };
      for await (const page of database.pages({
        ...query,
        filters: [{ column: 'merchant', op: 'in', value: names }],
      })) {
        read.push(...page.map((row) => row.merchant));
      }
      expect(read.sort()).toEqual(names.sort());
    });

    test('rows that stay are read exactly once while others come', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 0, max: 25 }),
          fc.integer({ min: 1, max: 9 }),
          fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 8 }),
          async (count, pageSize, added) => {
            const merchant = `${run}-${randomUUID()}`;
            const stayed = await addCutouts(count, { merchant });
            const read: string[] = [];
            const filters: Filter[] = [{ column: 'merchant', op: 'eq', value: merchant }];
            const pages = database.pages({
              table: 'cutout_images',
              columns: 'id',
              schema: idRow,
              filters,
              pageSize,
            });
            for await (const page of pages) {
              read.push(...page.map((row) => row.id));
              const more = added.shift() ?? 0;
              if (more > 0) await addCutouts(more, { merchant });
            }
            expect(new Set(read).size).toBe(read.length);
            expect(stayed.filter((id) => !read.includes(id))).toEqual([]);
          },
        ),
        { numRuns: 12 },
      );
    });

    test('pages go by another key where a table has no id', async () => {
      const [dataset_id, products] = [randomUUID(), await addProducts(1_200)];
      await database.insert({ table: 'datasets', rows: [{ id: dataset_id, name: run }] });
      const rows = products.map((product_id) => ({ dataset_id, product_id }));
      await database.insert({ table: 'dataset_products', rows });
      const read: string[] = [];
      const query = {
        table: 'dataset_products',
        columns: 'product_id',
        schema: z.object({ product_id: z.string() }),
      };
      const filters: Filter[] = [{ column: 'dataset_id', op: 'eq', value: dataset_id }];
      for await (const page of database.pages({ ...query, filters, key: 'product_id' })) {
        read.push(...page.map((row) => row.product_id));
      }
      expect(read).toEqual(products);
    });

    test('products with and without matched cutouts', async () => {
      const products = await addProducts(6);
      const [first = '', second = ''] = products;
      await addCutouts(3, { matched_product_id: first });
      await addCutouts(1, { matched_product_id: second });
      const mine: Filter = { column: 'id', op: 'in', value: products };
      const read = async (columns: string, more: Filter[]): Promise<string[]> => {
        const ids: string[] = [];
        const filters = [mine, ...more];
        for await (const page of database.pages({ table: 'products', columns, schema: idRow, filters })) {
          ids.push(...page.map((row) => row.id));
        }
        return ids;
      };
      expect(await read('id,cutout_images!inner()', [])).toEqual([first, second]);
      expect(await read('id,cutout_images()', [{ column: 'cutout_images', op: 'is_null' }])).toEqual(
        products.slice(2),
      );
      expect(await read('id,cutout_images!matched_product_id!inner()', [])).toEqual([first, second]);
    });

    test('an update says how many rows it changed, over any number of ids', async () => {
      const ids = await addCutouts(600);
      const asked = [...ids, ...Array.from({ length: 400 }, () => randomUUID())];
      const update = { table: 'cutout_images', values: { predicted_upc: '4711' } };
      expect(await database.update({ ...update, filters: [{ column: 'id', op: 'in', value: asked }] })).toBe(
        600,
      );
      const filters: Filter[] = [
        { column: 'id', op: 'in', value: ids },
        { column: 'predicted_upc', op: 'neq', value: '4711' },
      ];
      expect(await database.update({ ...update, filters })).toBe(0);
    });

    test('a removal takes what its filters name, and nothing else', async () => {
      const ids = await addCutouts(30);
      const remove = {
        table: 'cutout_images',
        filters: [{ column: 'id', op: 'in', value: ids.slice(0, 20) }],
      } as const;
      await database.remove(remove);
      await database.remove(remove);
      const left = await database.update({
        table: 'cutout_images',
        values: { merchant: 'left' },
        filters: [{ column: 'id', op: 'in', value: ids }],
      });
      expect(left).toBe(10);
      await expect(database.remove({ table: 'cutout_images', filters: [] })).rejects.toThrow(
        'needs a filter',
      );
    });

    test('an upsert adds, then replaces what it names and keeps the rest', async () => {
      const collection = {
        name: `${run}-a`,
        collection_type: 'products',
        image_types: ['synthetic', 'a,"b'],
      };
      const schema = z.object({
        image_types: z.array(z.string()),
        vector_count: z.number(),
        frame_selection: z.string().nullable(),
      });
      const read = () =>
        database.find({
          table: 'embedding_collections',
          columns: 'image_types,vector_count,frame_selection',
          schema,
          filters: [{ column: 'name', op: 'eq', value: collection.name }],
        });
      const write = (row: Record<string, unknown>) =>
        database.upsert({ table: 'embedding_collections', rows: [row], onConflict: 'name' });
      await write({ ...collection, frame_selection: 'first', vector_count: 1 });
      await write({ ...collection, vector_count: 2 });
      expect(await read()).toEqual({
        image_types: collection.image_types,
        vector_count: 2,
        frame_selection: 'first',
      });
    });

    test('json comes back as it was written', async () => {
      const source_config = {
        type: 'both',
        filters: { product_ids: ['a'], nested: [1, { x: null }] },
        text: 'ü "q"',
      };
      const id = randomUUID();
      await database.insert({ table: 'embedding_jobs', rows: [{ id, runpod_job_id: run, source_config }] });
      const schema = z.object({ source_config: z.unknown() });
      const filters: Filter[] = [{ column: 'id', op: 'eq', value: id }];
      const row = await database.find({ table: 'embedding_jobs', columns: 'source_config', schema, filters });
      expect(row).toEqual({ source_config });
    });

    test('one call marks a chunk of cutouts, each with its own point', async () => {
      const ids = await addCutouts(3);
      const points = ids.map(() => randomUUID());
      const call = (args: Record<string, unknown>) =>
        database.call({
          name: 'mark_cutouts_embedded',
          args: { model_id: null, ...args },
          schema: z.number(),
        });
      const cutout_ids = [...ids, randomUUID()];
      expect(await call({ cutout_ids, point_ids: [...points, randomUUID()] })).toBe(3);
      expect(await call({ cutout_ids: [], point_ids: [] })).toBe(0);
      const schema = z.object({ id: z.string(), has_embedding: z.boolean(), qdrant_point_id: z.string() });
      const filters: Filter[] = [{ column: 'id', op: 'in', value: ids }];
      const columns = 'id,has_embedding,qdrant_point_id';
      for await (const page of database.pages({ table: 'cutout_images', columns, schema, filters })) {
        expect(page).toEqual(ids.map((id, i) => ({ id, has_embedding: true, qdrant_point_id: points[i] })));
      }
      const error = await refused(call({ cutout_ids: ids, point_ids: points.slice(1) }));
      expect(error).toMatchObject({ code: 'supabase_rejected', storeCode: '22023', retryable: false });
    });

    test('signed urls open what is there; what is missing fails alone', async () => {
      const path = `${run}/a b/ü (1).png`;
      const body = new TextEncoder().encode('picture');
      await database.upload({
        bucket: 'frames',
        path,
        body: new TextEncoder().encode('old'),
        contentType: 'image/png',
      });
      await database.upload({ bucket: 'frames', path, body, contentType: 'image/png' });
      const paths = [`${run}/missing.png`, path, path];
      const [missing, ...signed] = await database.signUrls({ bucket: 'frames', paths, expiresInSeconds: 60 });
      expect(missing).toMatchObject({ name: 'StoreError', code: 'storage_not_found', retryable: false });
      for (const url of signed) {
        if (typeof url !== 'string') throw url;
        const response = await fetch(url);
        expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png']);
        expect(await response.text()).toBe('picture');
        expect((await fetch(url.replace(/token=.{8}/, 'token=xxxxxxxx'))).ok).toBe(false);
      }
      expect(signed).toHaveLength(2);
    });

    test('a file is streamed into the model bucket, replacing what is there', async () => {
      await using folder = await temporaryFolder();
      const [path, file] = [`${run}/model.onnx`, join(folder.path, 'model.onnx')];
      const bytes = Buffer.alloc(3_000_000, 'weights ');
      await writeFile(file, bytes);
      const upload = { bucket: 'cls-models', path, contentType: 'application/octet-stream' };
      await database.upload({ ...upload, body: new Uint8Array(5) });
      await database.upload({ ...upload, body: await openAsBlob(file) });
      const [url] = await database.signUrls({ bucket: 'cls-models', paths: [path], expiresInSeconds: 60 });
      if (typeof url !== 'string') throw url ?? new Error('no address');
      const response = await fetch(url);
      expect(response.headers.get('content-type')).toBe('application/octet-stream');
      expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
    });

    test('the model bucket takes no pictures', async () => {
      const upload = {
        bucket: 'cls-models',
        path: `${run}.png`,
        body: new Uint8Array(3),
        contentType: 'image/png',
      };
      expect((await refused(database.upload(upload))).retryable).toBe(false);
      expect(await database.ensureBucket({ bucket: 'cls-models' })).toBe('existed');
    });

    test.each([
      ['23505', { name: 'twice', collection_type: 'products' }],
      ['23514', { name: 'check', collection_type: 'no such type' }],
      ['23503', { name: 'reference', collection_type: 'products', embedding_model_id: randomUUID() }],
      ['23502', { name: 'null', collection_type: null }],
    ])('a constraint that refuses a row is named: %s', async (storeCode, row) => {
      const rows = [{ ...row, name: `${run}-${row.name}` }];
      if (storeCode === '23505') await database.insert({ table: 'embedding_collections', rows });
      const error = await refused(database.insert({ table: 'embedding_collections', rows }));
      expect(error).toMatchObject({ code: 'supabase_constraint', storeCode, retryable: false });
    });

    test('jobs and collections may say what the API says', async () => {
      const rows = ['matching', 'training', 'evaluation', 'production'].map((purpose) => ({
        purpose,
        runpod_job_id: run,
      }));
      await database.insert({ table: 'embedding_jobs', rows });
      const collections = rows.map(({ purpose }) => ({
        name: `${run}-${purpose}`,
        collection_type: purpose,
        source_type: 'matched',
      }));
      await database.insert({ table: 'embedding_collections', rows: collections });
    });

    test('what is missing is named: a table, a column, a function', async () => {
      const query = { columns: 'id', schema: idRow };
      const table = await refused(database.find({ ...query, table: 'no_such_table' }));
      expect(table).toMatchObject({ code: 'supabase_missing_table', retryable: false });
      const column = await refused(
        database.find({ ...query, table: 'products', columns: 'id,no_such_column' }),
      );
      expect(column).toMatchObject({ code: 'supabase_missing_column', retryable: false });
      const filters: Filter[] = [{ column: 'id', op: 'eq', value: randomUUID() }];
      const update = await refused(
        database.update({ table: 'products', values: { no_such_column: 1 }, filters }),
      );
      expect(update).toMatchObject({ code: 'supabase_missing_column', retryable: false });
      const call = await refused(
        database.call({ name: 'no_such_function', args: { a: 1 }, schema: z.number() }),
      );
      expect(call).toMatchObject({ code: 'supabase_missing_function', retryable: false });
    });

    test('a wrong key is refused', async () => {
      const stranger = createDatabase({ url: project.url, key: 'sb_secret_0123456789012345678901_01234567' });
      const error = await refused(stranger.find({ table: 'products', columns: 'id', schema: idRow }));
      expect(error).toMatchObject({ code: 'supabase_unauthorized', status: 401, retryable: false });
    });
  });
}
