import { z } from 'zod';

import type { RunPodJob } from '../runpod/endpoint.ts';
import type { Run } from './run-rows.ts';
import type { Runs } from './runs.ts';

const count = z.number().catch(0);
/** What is summed of a shard's result; whatever is missing counts as nothing. */
const COUNTS = z.object({
  total_images: count,
  processed_count: count,
  unchanged_count: count,
  failed_count: count,
  failed_by_code: z.record(z.string(), count).catch({}),
});
type Counts = z.infer<typeof COUNTS>;
const SHARD = z.object({ id: z.string(), status: z.string(), result: z.unknown() });

/** A result may have kilobytes. */
const SHARDS_A_PAGE = 50;

const OUTPUT_STATUS: Readonly<Record<string, string>> = {
  completed: 'success',
  failed: 'error',
  cancelled: 'cancelled',
};

/**
 * The result of a divided run that has ended, as a job that had done it all would have given it; undefined while the
 * result of a shard that completed may still come.
 */
export async function resultOfWhole(
  { database }: Runs,
  run: Run,
  waitMs: number,
): Promise<RunPodJob | undefined> {
  const sum: Counts = { ...COUNTS.parse({}), failed_by_code: {} };
  let missing = 0;
  const pages = database.pages({
    table: 'embedding_jobs',
    columns: Object.keys(SHARD.shape).join(','),
    schema: SHARD,
    filters: [{ column: 'parent_job_id', op: 'eq', value: run.id }],
    pageSize: SHARDS_A_PAGE,
  });
  for await (const page of pages) {
    for (const { status, result } of page) {
      if (result === null) missing += status === 'completed' ? 1 : 0;
      else add(sum, COUNTS.parse(result));
    }
  }
  const endedMs = Date.now() - Date.parse(run.completed_at ?? run.created_at);
  if (missing > 0 && endedMs < waitMs) return undefined;
  return {
    id: run.id,
    status: 'COMPLETED',
    output: {
      status: OUTPUT_STATUS[run.status] ?? run.status,
      ...sum,
      shards: run.shard_count,
      ...(missing > 0 && { shards_without_result: missing }),
    },
  };
}

function add(sum: Counts, counts: Counts): void {
  for (const key of ['total_images', 'processed_count', 'unchanged_count', 'failed_count'] as const)
    sum[key] += counts[key];
  for (const [code, images] of Object.entries(counts.failed_by_code))
    sum.failed_by_code[code] = (sum.failed_by_code[code] ?? 0) + images;
}
