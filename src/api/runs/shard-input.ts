import { z } from 'zod';

import { isInRange, parseEmbeddingInput, SHARD, type Shard } from '../../embedding/input.ts';
import type { Database } from '../../supabase/database.ts';

/** One shard of a run: its row has its id, and this as its `extraction_config`. */
export interface RunShard {
  id: string;
  shard: Shard;
  /** The job whose failed images it is to do, of all in its range. */
  retry_failed_of?: string | undefined;
}

/** What a shard needs of the whole's input; the rest of it is handed through. */
const WHOLE = z.looseObject({
  job_id: z.string(),
  rebuild: z.record(z.string(), z.unknown()).optional(),
  source_config: z.looseObject({
    filters: z.looseObject({ product_ids: z.array(z.string()).optional() }).optional(),
  }),
});

/**
 * The input of a shard's job: that of the whole, for its range alone. Of selected products it names those of the range;
 * where there is none, the range leaves out whatever is named. What is filled anew is the whole's, and the last shard
 * switches to it.
 * @throws InputError where the handler would refuse it.
 */
export function shardInput(whole: Record<string, unknown>, part: RunShard): Record<string, unknown> {
  const { id, shard, retry_failed_of } = part;
  const { job_id: wholeId, source_config: source, rebuild, ...rest } = WHOLE.parse(whole);
  const { filters } = source;
  const own = filters?.product_ids?.filter((product) => isInRange(product.toLowerCase(), shard.products));
  const input = {
    ...rest,
    job_id: id,
    ...(rebuild !== undefined && { rebuild: { id: wholeId, ...rebuild, switch: false } }),
    ...(retry_failed_of !== undefined && { retry_failed_of }),
    source_config: {
      ...source,
      shard,
      ...(filters && {
        filters: { ...filters, ...(own !== undefined && own.length > 0 && { product_ids: own }) },
      }),
    },
  };
  parseEmbeddingInput(input);
  return input;
}

const ROW = z.object({
  id: z.string(),
  extraction_config: z.object({ shard: SHARD, retry_failed_of: z.string().optional() }),
});

/** The shards of a run, or one of them, as their rows say. */
export async function readShards(
  database: Database,
  by: { whole: string } | { id: string },
): Promise<Map<string, RunShard>> {
  const [column, value] = 'whole' in by ? ['parent_job_id', by.whole] : ['id', by.id];
  const pages = database.pages({
    table: 'embedding_jobs',
    columns: Object.keys(ROW.shape).join(','),
    schema: ROW,
    filters: [{ column, op: 'eq', value }],
  });
  const shards = (await Array.fromAsync(pages)).flat();
  return new Map(shards.map(({ id, extraction_config }) => [id, { id, ...extraction_config }]));
}
