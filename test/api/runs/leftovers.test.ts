import { randomUUID } from 'node:crypto';

import { afterAll, expect, test } from '@jest/globals';

import { sweepLeftovers } from '../../../src/api/index.ts';
import { rebuildTarget } from '../../../src/qdrant/rebuild/names.ts';
import { addRun } from '../../support/api/runs.ts';
import { testQdrant } from '../../support/qdrant.ts';
import { fill, rebuildOf, served } from '../../support/rebuild.ts';
import { testSupabase } from '../../support/supabase.ts';

const [supabase, qdrant] = await Promise.all([testSupabase(), testQdrant()]);
const { database } = supabase;
const { store } = qdrant;

afterAll(async () => {
  await Promise.all([supabase.close(), qdrant.close()]);
});

test('what a failed rebuild has filled is removed; what a run goes on with, or nobody knows, is not', async () => {
  const name = await served(store, 'an alias');
  const ids = {
    failed: await addRun(supabase, 'embedding', { status: 'failed' }),
    cancelled: await addRun(supabase, 'embedding', { status: 'cancelled' }),
    completed: await addRun(supabase, 'embedding', { status: 'completed' }),
    running: await addRun(supabase, 'embedding', { status: 'running' }),
    retried: await addRun(supabase, 'embedding', { status: 'failed' }),
    unknown: randomUUID(),
  };
  const retry = await addRun(supabase, 'embedding', { status: 'queued' });
  await supabase.sql('update embedding_jobs set extraction_config = $2 where id = $1', [
    retry,
    // As another program may write it.
    JSON.stringify({ input: { rebuild: { id: ids.retried.toUpperCase() } } }),
  ]);
  for (const id of Object.values(ids)) await fill(store, [name], rebuildOf({ id }));
  const fillOf = (id: string): string => rebuildTarget(name, id).fill;

  const before = await store.names();
  const told = await sweepLeftovers({ database, store, dryRun: true });
  expect(await store.names()).toEqual(before);
  const { removed, completed } = await sweepLeftovers({ database, store });
  expect({ completed, removed }).toEqual({ completed: [], removed: told.removed });
  expect(removed.map(({ rebuildId }) => rebuildId).sort()).toEqual([ids.failed, ids.cancelled].sort());
  const { collections } = await store.names();
  const left = [ids.completed, ids.running, ids.retried, ids.unknown].map(fillOf);
  expect([...collections].sort()).toEqual([fillOf(rebuildOf().id), ...left].sort());
  expect(await store.count(name)).toBe(3);
});

test('a run that has ended just now is left alone: its worker may be about to switch', async () => {
  const name = await served(store, 'an alias');
  const id = await addRun(supabase, 'embedding', { status: 'cancelled' });
  await supabase.sql('update embedding_jobs set completed_at = now() where id = $1', [id]);
  await fill(store, [name], rebuildOf({ id }));
  expect((await sweepLeftovers({ database, store })).removed).toEqual([]);
  await supabase.sql(`update embedding_jobs set completed_at = now() - interval '11 minutes' where id = $1`, [
    id,
  ]);
  expect((await sweepLeftovers({ database, store })).removed).toMatchObject([{ rebuildId: id }]);
});

test('a divided run that went on with a rebuild, and failed too: all its shards are to fill again', async () => {
  const name = await served(store, 'an alias');
  const first = await addRun(supabase, 'embedding', { status: 'cancelled' });
  const retry = await addRun(supabase, 'embedding', { status: 'failed', age: 60 });
  await supabase.sql('update embedding_jobs set shard_count = 2, extraction_config = $2 where id = $1', [
    retry,
    JSON.stringify({ input: { rebuild: { id: first } } }),
  ]);
  await supabase.sql(
    `insert into embedding_jobs (parent_job_id, shard_index, status) values ($1, 0, 'completed'), ($1, 1, 'failed')`,
    [retry],
  );
  await fill(store, [name], rebuildOf({ id: first }));
  expect((await sweepLeftovers({ database, store })).removed).toMatchObject([{ rebuildId: first }]);
  expect(await supabase.sql('select status from embedding_jobs where parent_job_id = $1', [retry])).toEqual([
    { status: 'failed' },
    { status: 'failed' },
  ]);
});
