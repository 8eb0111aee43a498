import { z } from 'zod';

import { StoreError } from '../base/errors.ts';
import type { Database } from '../supabase/database.ts';

const PART = z.object({ parent_job_id: z.string().nullable() });
const WHOLE = z.object({ status: z.string() });
const ENDED = ['completed', 'failed', 'cancelled'];

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
