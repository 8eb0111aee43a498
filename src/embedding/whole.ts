import { z } from 'zod';

import { StoreError } from '../base/errors.ts';
import type { Database } from '../supabase/database.ts';
import type { Filled } from './targets.ts';

const PART = z.object({ parent_job_id: z.string().nullable() });
const WHOLE = z.object({ status: z.string() });
const ENDED = ['completed', 'failed', 'cancelled'];

const FILLED = z.object({ points_written: z.number(), failed: z.number(), cutout: z.number() });

interface FillingShard {
  database: Database;
  jobId: string;
  lease: string | undefined;
  signal: AbortSignal;
}

/**
 * Says that a shard has done its part, and gives what all have done, by collection, where this one is the last: of
 * several that end at once exactly one.
 */
export async function fillShard(
  { database, jobId, lease, signal }: FillingShard,
  collections: ReadonlyMap<string, Filled>,
): Promise<Map<string, Filled> | undefined> {
  const filled = [...collections].map(([name, { points_written, failed, cutout }]) => [
    name,
    { points_written, failed, cutout },
  ]);
  const shards = await database.call({
    name: 'fill_shard',
    args: { shard: jobId, lease: lease ?? null, filled: Object.fromEntries(filled) as unknown },
    schema: z.array(z.record(z.string(), FILLED)).nullable(),
    signal,
  });
  if (shards === null) return undefined;
  const all = new Map<string, Filled>();
  for (const [name, part] of shards.flatMap((shard) => Object.entries(shard))) {
    const { points_written = 0, failed = 0, cutout = 0 } = all.get(name) ?? {};
    all.set(name, {
      points_written: points_written + part.points_written,
      failed: failed + part.failed,
      cutout: cutout + part.cutout,
    });
  }
  return all;
}

/**
 * Whether a job is the shard of a run whose shards have all ended. Several that end at once may all find it so; that
 * the last of them does is certain.
 */
export async function hasWholeEnded(
  database: Database,
  jobId: string,
  signal: AbortSignal,
): Promise<boolean> {
  const read = <T>(id: string, columns: string, schema: z.ZodType<T>): Promise<T | undefined> =>
    database.find({
      table: 'embedding_jobs',
      columns,
      schema,
      filters: [{ column: 'id', op: 'eq', value: id }],
      signal,
    });
  try {
    const whole = (await read(jobId, 'parent_job_id', PART))?.parent_job_id;
    const row = whole == null ? undefined : await read(whole, 'status', WHOLE);
    return row !== undefined && ENDED.includes(row.status);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'supabase_missing_column') return false;
    throw error;
  }
}
