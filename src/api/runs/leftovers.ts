import { z } from 'zod';

import { StoreError } from '../../base/errors.ts';
import {
  completeRebuilds,
  removeLeftovers,
  type Completed,
  type Leftover,
} from '../../qdrant/rebuild/leftovers.ts';
import type { VectorStore } from '../../qdrant/store.ts';
import type { Database } from '../../supabase/database.ts';
import { RUN_KINDS } from './run-kinds.ts';

export interface SweepOptions {
  database: Database;
  store: VectorStore;
  /** Changes nothing: only says what would be. */
  dryRun?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Milliseconds since a run has ended, in which its worker may not know yet and switch; ten minutes by default. */
  settlingMs?: number | undefined;
}

/** Above how long a worker tries a switch that has begun. */
const SETTLING_MS = 10 * 60_000;

export interface Swept extends Completed {
  removed: Leftover[];
}

const STATE = z.object({ status: z.string(), created_at: z.string(), completed_at: z.string().nullable() });
const GOING_ON = z.object({
  id: z.string(),
  extraction_config: z
    .object({ input: z.object({ rebuild: z.object({ id: z.string().toLowerCase() }) }) })
    .nullable()
    .catch(null),
});

/**
 * Ends what dead workers have left half done, and removes what rebuilds have filled that have failed or were cancelled
 * a while ago, and that no run goes on with. Rebuilds of which no row tells are left alone. A retry of such a run begins
 * anew.
 */
export async function sweepLeftovers(options: SweepOptions): Promise<Swept> {
  const { database, store, dryRun = false, signal, settlingMs = SETTLING_MS } = options;
  const isOver = async ({ rebuildId }: Leftover): Promise<boolean> => {
    const row = await database.find({
      table: 'embedding_jobs',
      columns: Object.keys(STATE.shape).join(','),
      schema: STATE,
      filters: [{ column: 'id', op: 'eq', value: rebuildId }],
      signal,
    });
    if (row?.status !== 'failed' && row?.status !== 'cancelled') return false;
    if (row.completed_at !== null && Date.now() - Date.parse(row.completed_at) < settlingMs) return false;
    const going = { rebuildId, since: row.created_at };
    if ((await goingOnWith(going, RUN_KINDS.embedding.unfinished, options)).length > 0) return false;
    const retries = await goingOnWith(going, ['failed', 'cancelled'], options);
    if (!dryRun) await undoShards([rebuildId, ...retries], options);
    return true;
  };
  const completed = await completeRebuilds({ store, signal, dryRun });
  return { ...completed, removed: await removeLeftovers({ store, signal, isOver, dryRun }) };
}

/** Shards that have filled their part are to fill it again, when their run is retried: told before it is removed. */
async function undoShards(wholes: readonly string[], { database, signal }: SweepOptions): Promise<void> {
  try {
    await database.update({
      table: 'embedding_jobs',
      values: { status: 'failed', error_message: 'what the shard had filled was removed' },
      filters: [
        { column: 'parent_job_id', op: 'in', value: wholes },
        { column: 'status', op: 'eq', value: 'completed' },
      ],
      signal,
    });
  } catch (error) {
    // No run of such a database is divided.
    if (!(error instanceof StoreError) || error.code !== 'supabase_missing_column') throw error;
  }
}

/** Runs in one of these states that go on with the rebuild of another run. */
async function goingOnWith(
  { rebuildId, since }: { rebuildId: string; since: string },
  states: readonly string[],
  { database, signal }: SweepOptions,
): Promise<string[]> {
  const pages = database.pages({
    table: 'embedding_jobs',
    columns: Object.keys(GOING_ON.shape).join(','),
    schema: GOING_ON,
    filters: [
      { column: 'status', op: 'in', value: states },
      { column: 'created_at', op: 'gte', value: since },
    ],
    signal,
  });
  const ids: string[] = [];
  for await (const page of pages)
    for (const { id, extraction_config: config } of page)
      if (config?.input.rebuild.id === rebuildId) ids.push(id);
  return ids;
}
