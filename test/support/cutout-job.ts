import { randomUUID } from 'node:crypto';

import { createEmbeddingHandler, type EmbeddingHandler } from '../../handlers/embedding.ts';
import type { EmbeddingTools } from '../../src/embedding/tools.ts';
import { addCutouts, cutoutId, productId, range, type JobCloud, type Row } from './job.ts';

/** Points in one write of `smallSteps`. */
export const STEP = 4;

/** A job over cutouts that are its own, so that many can run side by side in one cloud. */
export interface CutoutJob {
  jobId: string;
  numbers: number[];
  ids: string[];
  collection: string;
  /** The image server's path of a cutout's picture. */
  pathOf(i: number): string;
  /** The job's input; other keys of its `source_config` and `filters` are added. */
  input(source?: Row, filters?: Row): Row;
  /** Ids of its cutouts whose row says that they have their point, sorted. */
  marked(): Promise<unknown[]>;
}

let used = 0;

export async function cutoutJob(cloud: JobCloud, count: number): Promise<CutoutJob> {
  const numbers = range(used, used + count);
  // Room for cutouts that a test adds.
  used += count + 10;
  const jobId = randomUUID();
  const collection = `cutouts_of_${jobId}`;
  if (count > 0) await addCutouts(cloud, numbers, productOf, () => ({ merchant: jobId }));
  return {
    jobId,
    numbers,
    ids: numbers.map(cutoutId),
    collection,
    pathOf: (i) => `/cutouts/${productId(productOf(i))}/${i}.jpg`,
    input: (source = {}, filters = {}) => ({
      job_id: jobId,
      batch_size: STEP,
      source_config: {
        type: 'cutouts',
        cutout_collection: collection,
        ...source,
        filters: { cutout_merchant_names: [jobId], ...filters },
      },
    }),
    async marked() {
      const rows = await cloud.supabase.sql(
        'select id from cutout_images where merchant = $1 and has_embedding order by id',
        [jobId],
      );
      return rows.map(({ id }) => id);
    },
  };
}

const productOf = (i: number): number => i % 5;

/** A handler that takes four images at a time, one step after the other, with the order of the listing. */
export function smallSteps(cloud: JobCloud, tools: Partial<EmbeddingTools> = {}): EmbeddingHandler {
  const limits = { downloads: 1, decoders: 1, writes: 1, writeSize: STEP };
  return createEmbeddingHandler({ ...cloud.tools, limits, ...tools });
}
