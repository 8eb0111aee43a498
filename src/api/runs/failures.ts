import { z } from 'zod';

import { StoreError } from '../../base/errors.ts';
import type { Database, Filter } from '../../supabase/database.ts';
import { firstPage } from './first-page.ts';

/** An image that failed, as its job told it. */
export const FAILURE = z.object({
  id: z.number().describe("The row's, in the order in which they failed."),
  collection: z.string(),
  image_id: z.string(),
  image_type: z.string().nullable(),
  url: z.string(),
  code: z.string().describe('docs/failure-codes.md'),
  message: z.string().nullable(),
  retryable: z.boolean(),
});
export type Failure = z.infer<typeof FAILURE>;

export interface FailureQuery {
  jobId: string;
  /** The job was divided: those of its shards. */
  isWhole?: boolean;
  code?: string | undefined;
  retryable?: boolean | undefined;
  limit: number;
  /** Only those behind this one. */
  after?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Failed images, first come first; none where the database does not have the table. */
export async function listFailures(database: Database, query: FailureQuery): Promise<Failure[]> {
  const { jobId, isWhole = false, code, retryable, limit, after, signal } = query;
  const filters: Filter[] = [{ column: isWhole ? 'parent_job_id' : 'job_id', op: 'eq', value: jobId }];
  if (code !== undefined) filters.push({ column: 'code', op: 'in', value: [code] });
  if (retryable !== undefined) filters.push({ column: 'retryable', op: 'eq', value: retryable });
  if (after !== undefined) filters.push({ column: 'id', op: 'gt', value: after });
  const columns = Object.keys(FAILURE.shape).join(',');
  const pages = database.pages({
    table: 'embedding_job_failures',
    columns,
    schema: FAILURE,
    filters,
    pageSize: limit,
    signal,
  });
  try {
    return await firstPage(pages);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'supabase_missing_table') return [];
    throw error;
  }
}
