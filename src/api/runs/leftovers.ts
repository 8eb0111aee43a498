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
}

export interface Swept extends Completed {
  removed: Leftover[];
}

const STATE = z.object({ status: z.string() });
const UNFINISHED = z.object({
  id: z.string(),
  extraction_config: z
    .object({ input: z.object({ rebuild: z.object({ id: z.string() }) }) })
    .nullable()
    .catch(null),
});

/**
 * Ends what dead workers have left half done, and removes what rebuilds have filled that have failed or were cancelled,
 * and that no run goes on with. Rebuilds of which no row tells are left alone. A retry of such a run begins anew.
 */
export async function sweepLeftovers({ database, store, dryRun, signal }: SweepOptions): Promise<Swept> {
  const isOver = async ({ rebuildId }: Leftover): Promise<boolean> => {
    const row = await database.find({
      table: 'embedding_jobs',
      columns: 'status',
      schema: STATE,
      filters: [{ column: 'id', op: 'eq', value: rebuildId }],
      signal,
    });
    if (row?.status !== 'failed' && row?.status !== 'cancelled') return false;
    if ((await rebuildsUnderWay(database, signal)).has(rebuildId)) return false;
    if (dryRun !== true) await undoShards(database, rebuildId, signal);
    return true;
  };
  const completed = await completeRebuilds({ store, signal, dryRun });
  return { ...completed, removed: await removeLeftovers({ store, signal, isOver, dryRun }) };
}

/** Shards that have filled their part are to fill it again, when their run is retried: told before it is removed. */
async function undoShards(database: Database, whole: string, signal?: AbortSignal): Promise<void> {
  try {
    await database.update({
      table: 'embedding_jobs',
      values: { status: 'failed', error_message: 'what the shard had filled was removed' },
      filters: [
        { column: 'parent_job_id', op: 'eq', value: whole },
        { column: 'status', op: 'eq', value: 'completed' },
      ],
      signal,
    });
  } catch (error) {
    // No run of such a database is divided.
    if (!(error instanceof StoreError) || error.code !== 'supabase_missing_column') throw error;
  }
}

/** Ids of the rebuilds that runs which have not ended are parts of. */
async function rebuildsUnderWay(database: Database, signal?: AbortSignal): Promise<Set<string>> {
  const pages = database.pages({
    table: 'embedding_jobs',
    columns: 'id,extraction_config',
    schema: UNFINISHED,
    filters: [{ column: 'status', op: 'in', value: RUN_KINDS.embedding.unfinished }],
    signal,
  });
  const ids = new Set<string>();
  for await (const page of pages) {
    for (const { extraction_config: config } of page) if (config) ids.add(config.input.rebuild.id);
  }
  return ids;
}
