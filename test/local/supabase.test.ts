import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient } from '@supabase/supabase-js';

import { readMigrations } from '../../src/local/supabase/migrations.ts';
import { startLocalSupabase } from '../../src/local/supabase/supabase.ts';
import { createDatabase } from '../../src/supabase/database.ts';
import { testSupabase, type TestSupabase } from '../support/supabase.ts';

const status = async (url: string, headers: Record<string, string> = {}): Promise<number> => {
  const response = await fetch(url, { headers });
  await response.body?.cancel();
  return response.status;
};

let supabase: TestSupabase;
beforeAll(async () => {
  supabase = await testSupabase();
});
afterAll(() => supabase.close());

describe('the embedded Supabase', () => {
  test('answers those who send the key, and nobody else', async () => {
    const table = `${supabase.url}/rest/v1/products?select=id`;
    expect(supabase.serviceKey).toMatch(/^sb_secret_/);
    expect(await status(table)).toBe(401);
    expect(await status(table, { apikey: 'sb_secret_wrong' })).toBe(401);
    expect(await status(table, { authorization: `Bearer ${supabase.serviceKey}` })).toBe(401);
    expect(await status(table, { apikey: supabase.serviceKey })).toBe(200);
    expect(await status(`${supabase.url}/storage/v1/object/frames/x.png`)).toBe(401);
    expect(await status(`${supabase.url}/_system/config`, { apikey: supabase.serviceKey })).toBe(404);
  });

  test('keeps rows and objects where it is given a folder', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'gpu-handlers-test-'));
    try {
      const serviceKey = 'sb_secret_chosen';
      {
        await using first = await startLocalSupabase({ dataDir, serviceKey });
        const database = createDatabase({ url: first.url, key: serviceKey });
        await database.insert({ table: 'datasets', rows: [{ name: 'kept' }] });
        const body = new TextEncoder().encode('kept');
        await database.upload({ bucket: 'frames', path: 'a/b.txt', body, contentType: 'text/plain' });
      }
      await using second = await startLocalSupabase({ dataDir, serviceKey });
      const client = createClient(second.url, serviceKey, {
        auth: { persistSession: false, autoRefreshToken: false },
      });
      expect((await client.from('datasets').select('name')).data).toEqual([{ name: 'kept' }]);
      const { data } = await client.storage.from('frames').download('a/b.txt');
      expect(await data?.text()).toBe('kept');
    } finally {
      await rm(dataDir, { recursive: true });
    }
  });

  test('leaves nothing behind in memory, and says so when it is asked again', async () => {
    const folders = async (): Promise<string[]> =>
      (await readdir(tmpdir())).filter((name) => name.startsWith('gpu-handlers-supabase-'));
    const before = await folders();
    const another = await startLocalSupabase();
    expect((await folders()).filter((name) => !before.includes(name)).length).toBeGreaterThan(0);
    await another.close();
    await another.close();
    await expect(another.sql('select 1')).rejects.toThrow('closed');
    await expect(fetch(another.url)).rejects.toThrow();
  });

  test('a port that is taken is an error', async () => {
    await expect(startLocalSupabase({ port: Number(new URL(supabase.url).port) })).rejects.toThrow(
      'EADDRINUSE',
    );
  });

  test("SQL's own errors come through with their code", async () => {
    await expect(supabase.sql('select * from nothing')).rejects.toMatchObject({ code: '42P01' });
    await supabase.sql('create table public.more (a int); insert into more values (1), (2)');
    expect(await supabase.sql('select a from more where a > $1', [1])).toEqual([{ a: 2 }]);
    await supabase.sql('drop table more');
  });

  test('thousands of rows are seeded in one statement', async () => {
    await supabase.sql(
      `insert into cutout_images (external_id, image_url) select n, 'u' from generate_series(1, 5000) n`,
    );
    expect(await supabase.sql('select count(*) as count from cutout_images')).toEqual([{ count: 5000 }]);
  });
});

describe('the migrations', () => {
  test('run a second time and change nothing', async () => {
    const shape = () =>
      supabase.sql(`
        select table_name, column_name, data_type, is_nullable from information_schema.columns where table_schema = 'public'
        union all
        select conrelid::regclass::text, conname, pg_get_constraintdef(oid), '' from pg_constraint
        where connamespace = 'public'::regnamespace
        union all
        select tablename, indexname, indexdef, '' from pg_indexes where schemaname = 'public'
        order by 1, 2, 3`);
    await supabase.sql(`insert into datasets (name, description) values ('stays', 'as it is')`);
    const before = await shape();
    for (const migration of await readMigrations()) await supabase.sql(migration);
    expect(await shape()).toEqual(before);
    expect(await supabase.sql(`select description from datasets where name = 'stays'`)).toEqual([
      { description: 'as it is' },
    ]);
  });

  test('widen the checks of a project that is older, keep its rows and its own rules of access', async () => {
    await using older = await testSupabase();
    await older.sql(`
      drop table embedding_job_failures, embedding_collections, embedding_jobs cascade;
      create table embedding_jobs (
        id uuid primary key default gen_random_uuid(), job_type text, source text, status text,
        total_images int, processed_images int, created_at timestamptz default now(),
        purpose text constraint only_old_purposes check (purpose in ('matching', 'training', 'evaluation'))
      );
      create table embedding_collections (
        id uuid primary key default gen_random_uuid(), name text unique not null,
        collection_type text not null check (collection_type in ('products', 'cutouts', 'training', 'evaluation')),
        source_type text check (source_type in ('all', 'selected')), source_dataset_id uuid, embedding_model_id uuid,
        vector_count int, created_at timestamptz default now(), updated_at timestamptz default now()
      );
      insert into embedding_jobs (purpose, status) values ('matching', 'an old word');
    `);
    for (const migration of await readMigrations()) await older.sql(migration);
    const { database } = older;
    await database.insert({
      table: 'embedding_jobs',
      rows: [{ purpose: 'production', source_config: { a: 1 } }],
    });
    const rows = [
      { name: 'p', collection_type: 'production', source_type: 'matched', image_types: ['real'] },
    ];
    await database.insert({ table: 'embedding_collections', rows });
    expect(await older.sql('select count(*) as jobs from embedding_jobs')).toEqual([{ jobs: 2 }]);
    const guarded = await older.sql(
      `select relname from pg_class where relrowsecurity and relname like 'embedding\\_%' order by relname`,
    );
    // Made anew: locked. There before: as it was. embedding_models was made by the first run.
    expect(guarded.map((row) => row.relname)).toEqual(['embedding_job_failures', 'embedding_models']);
  });

  test('let nobody but the service role mark cutouts or see a table that they made', async () => {
    const [rights] = await supabase.sql(`
      select has_function_privilege('anon', oid, 'execute') as anon,
        has_function_privilege('authenticated', oid, 'execute') as authenticated,
        has_function_privilege('service_role', oid, 'execute') as service_role, proconfig::text as settings
      from pg_proc where proname = 'mark_cutouts_embedded'`);
    expect(rights).toEqual({
      anon: false,
      authenticated: false,
      service_role: true,
      settings: '{"search_path=\\"\\""}',
    });
    const open = await supabase.sql(
      `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity`,
    );
    expect(open).toEqual([]);
  });

  test('name private buckets, the one for models closed to pictures', async () => {
    const buckets = await supabase.sql(
      'select id, public, allowed_mime_types from storage.buckets order by id',
    );
    expect(buckets).toMatchObject([
      { id: 'cls-models', public: false },
      { id: 'frames', public: false, allowed_mime_types: null },
    ]);
  });
});
