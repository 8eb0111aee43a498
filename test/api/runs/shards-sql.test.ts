import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

type Row = Record<string, unknown>;

let supabase: TestSupabase;
let whole = '';
let shards: string[] = [];
beforeAll(async () => {
  supabase = await testSupabase();
});
afterAll(() => supabase.close());
beforeEach(async () => {
  ({ whole, shards } = await addWhole(3));
});

async function addWhole(count: number): Promise<{ whole: string; shards: string[] }> {
  const id = randomUUID();
  const ids = Array.from({ length: count }, () => randomUUID());
  await supabase.sql('insert into embedding_jobs (id, shard_count) values ($1, $2)', [id, count]);
  await supabase.sql(
    `insert into embedding_jobs (id, parent_job_id, shard_index, total_images)
     select shard, $1, index - 1, 10 from unnest($2::uuid[]) with ordinality as s (shard, index)`,
    [id, ids],
  );
  return { whole: id, shards: ids };
}

const set = (i: number, values: string): Promise<unknown> =>
  supabase.sql(`update embedding_jobs set ${values} where id = $1`, [shards[i]]);
const row = async (id = whole): Promise<Row> =>
  (await supabase.sql('select * from embedding_jobs where id = $1', [id]))[0] ?? {};
const states = async (): Promise<unknown[]> =>
  (
    await supabase.sql('select status from embedding_jobs where parent_job_id = $1 order by shard_index', [
      whole,
    ])
  ).map(({ status }) => status);

describe('the row of a whole', () => {
  test.each<[string, string[], string]>([
    ['waits as its shards do', ['pending', 'pending', 'pending'], 'pending'],
    ['is queued once one of them is', ['queued', 'pending', 'pending'], 'queued'],
    ['runs once one of them does', ['running', 'queued', 'pending'], 'running'],
    ['runs while one of them has not ended', ['completed', 'failed', 'queued'], 'running'],
    ['is completed when all are', ['completed', 'completed', 'completed'], 'completed'],
    ['has failed when all have ended and one has failed', ['completed', 'failed', 'cancelled'], 'failed'],
    ['has failed when one of them was cancelled', ['completed', 'cancelled', 'completed'], 'failed'],
    ['is cancelled when all are', ['cancelled', 'cancelled', 'cancelled'], 'cancelled'],
  ])('%s', async (_, of, expected) => {
    for (const [i, status] of of.entries()) await set(i, `status = '${status}'`);
    const { status, completed_at: end } = await row();
    expect(status).toBe(expected);
    expect(end !== null).toBe(['completed', 'failed', 'cancelled'].includes(expected));
  });

  test('has the sum of their images and their times, at each change of a state', async () => {
    expect(await row()).toMatchObject({ total_images: 30, processed_images: 0, started_at: null });
    await set(
      0,
      `status = 'running', total_images = 12, processed_images = 5, started_at = '2026-01-02T03:04:05Z'`,
    );
    await set(
      1,
      `status = 'completed', total_images = 9, processed_images = 9, started_at = '2026-01-02T03:05:05Z'`,
    );
    expect(await row()).toMatchObject({
      total_images: 31,
      processed_images: 14,
      started_at: '2026-01-02 03:04:05+00',
    });
  });

  test('is summed once a second at most while there is only progress', async () => {
    await set(0, `status = 'running'`);
    await set(0, 'processed_images = 3');
    expect((await row()).processed_images).toBe(0);
    await supabase.sql(
      `update embedding_jobs set shards_summed_at = now() - interval '2 seconds' where id = $1`,
      [whole],
    );
    await set(0, 'processed_images = 4');
    expect((await row()).processed_images).toBe(4);
  });

  test('says what has failed, and forgets it when that runs again', async () => {
    await set(0, `status = 'cancelled'`);
    await set(1, `status = 'failed', error_message = 'the store stayed away'`);
    await set(2, `status = 'completed'`);
    expect(await row()).toMatchObject({
      status: 'failed',
      error_message:
        '1 of 3 shards have failed and 1 were cancelled; the first, shard 1: the store stayed away',
    });
    await set(1, `status = 'pending', error_message = null`);
    expect(await row()).toMatchObject({ status: 'running', error_message: null, completed_at: null });
    await set(0, `status = 'completed'`);
    await set(1, `status = 'completed'`);
    expect(await row()).toMatchObject({ status: 'completed', error_message: null });
  });

  test('is not completed as long as shards have no row', async () => {
    await supabase.sql('update embedding_jobs set shard_count = 4 where id = $1', [whole]);
    for (const i of [0, 1, 2]) await set(i, `status = 'completed'`);
    expect((await row()).status).toBe('running');
  });

  test('takes its shards along when it is cancelled, and those that have ended stay', async () => {
    await set(0, `status = 'completed'`);
    await set(1, `status = 'running'`);
    await supabase.sql(`update embedding_jobs set status = 'cancelled' where id = $1`, [whole]);
    expect(await states()).toEqual(['completed', 'cancelled', 'cancelled']);
    expect((await row(shards[2])).completed_at).not.toBeNull();
    // And stays so, whatever they say.
    await set(1, `status = 'completed'`);
    expect((await row()).status).toBe('cancelled');
  });

  test('cancels a shard that it had missed as soon as anybody writes it', async () => {
    await supabase.sql(`update embedding_jobs set status = 'cancelled' where id = $1`, [whole]);
    // As if another session had held the row: it is there again as it was.
    await supabase.sql('alter table embedding_jobs disable trigger follow_shards');
    await set(2, `status = 'running'`);
    await supabase.sql('alter table embedding_jobs enable trigger follow_shards');
    await set(2, 'processed_images = 7');
    expect(await states()).toEqual(['cancelled', 'cancelled', 'cancelled']);
  });

  test('is no other run, and another run is none of its', async () => {
    const other = await addWhole(2);
    await supabase.sql(`update embedding_jobs set status = 'completed' where id = any($1)`, [
      [...other.shards, shards[0]],
    ]);
    expect((await row(other.whole)).status).toBe('completed');
    expect((await row()).status).toBe('running');
    const alone = randomUUID();
    await supabase.sql('insert into embedding_jobs (id) values ($1)', [alone]);
    await supabase.sql(`update embedding_jobs set status = 'running' where id = $1`, [alone]);
    expect(await row(alone)).toMatchObject({ status: 'running', shard_count: null, shards_summed_at: null });
  });
});

test('failures are those of the whole too, and the shards that have some are known', async () => {
  for (const [i, url] of [
    [2, 'a'],
    [0, 'b'],
    [2, 'c'],
  ] as const) {
    await supabase.sql(
      `insert into embedding_job_failures (job_id, collection, image_id, url, code) values ($1, 'c', 'i', $2, 'http_404')`,
      [shards[i], url],
    );
  }
  const rows = await supabase.sql(
    'select url from embedding_job_failures where parent_job_id = $1 order by id',
    [whole],
  );
  expect(rows).toEqual([{ url: 'a' }, { url: 'b' }, { url: 'c' }]);
  const [found] = await supabase.sql('select shards_with_failures($1) as shards', [whole]);
  expect(found).toEqual({ shards: [shards[0], shards[2]] });
});

test('the migration runs again on what it has made', async () => {
  const { readMigrations } = await import('../../../src/local/supabase/migrations.ts');
  for (const text of await readMigrations()) await supabase.sql(text);
  await set(0, `status = 'running'`);
  expect((await row()).status).toBe('running');
});
