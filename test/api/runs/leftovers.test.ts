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
    JSON.stringify({ input: { rebuild: { id: ids.retried } } }),
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
