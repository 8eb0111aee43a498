import { StoreError } from '../../base/errors.ts';
import type { Filter } from '../../supabase/database.ts';

/** Reads runs without the shards of divided ones, and as they are where the database knows of none. */
export async function leaveShardsOut<T>(
  read: (among: readonly Filter[], knowsShards: boolean) => Promise<T>,
): Promise<T> {
  try {
    return await read([{ column: 'parent_job_id', op: 'is_null' }], true);
  } catch (error) {
    // The refusal of a count comes without a body, and so without a code.
    const codes = ['supabase_missing_column', 'supabase_rejected'];
    if (!(error instanceof StoreError) || !codes.includes(error.code)) throw error;
    return read([], false);
  }
}
