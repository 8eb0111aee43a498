import { z } from 'zod';

import { batches, mapConcurrent, type Source } from '../flow/streams.ts';
import type { Database } from '../supabase/database.ts';
import type { ImageRef } from './image-ref.ts';

export interface OnlyFailedOptions {
  database: Database;
  /** The job whose failures are meant. */
  jobId: string;
  signal?: AbortSignal | undefined;
}

/** Images compared with the table at once. */
const BATCH = 256;
/** Batches under way together; one more waits to be taken. */
const BATCHES_AHEAD = 2;

const FAILURE = z.object({ id: z.number(), collection: z.string(), image_id: z.string() });

/**
 * Passes on, in order, the images that failed in that job, by collection and image id: of several urls that shared an
 * id, all. Holds a few batches, whatever the size of the job.
 */
export async function* onlyFailed(
  images: Source<ImageRef>,
  options: OnlyFailedOptions,
): AsyncGenerator<ImageRef> {
  const compared = mapConcurrent(
    batches(images, BATCH),
    BATCHES_AHEAD,
    async (batch) => ({ batch, failed: await failedOf(batch, options) }),
    { ordered: true, signal: options.signal },
  );
  for await (const { batch, failed } of compared) {
    yield* batch.filter(({ collection, id }) => failed.has(keyOf(collection, id)));
  }
}

async function failedOf(
  batch: readonly ImageRef[],
  { database, jobId, signal }: OnlyFailedOptions,
): Promise<Set<string>> {
  const failed = new Set<string>();
  const pages = database.pages({
    table: 'embedding_job_failures',
    columns: 'id,collection,image_id',
    schema: FAILURE,
    filters: [
      { column: 'job_id', op: 'eq', value: jobId },
      { column: 'image_id', op: 'in', value: batch.map(({ id }) => id) },
    ],
    signal,
  });
  for await (const page of pages) {
    for (const { collection, image_id: id } of page) failed.add(keyOf(collection, id));
  }
  return failed;
}

function keyOf(collection: string, id: string): string {
  return JSON.stringify([collection, id]);
}
