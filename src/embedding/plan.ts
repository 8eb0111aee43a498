import { SILENT_LOG, type Log } from '../base/log.ts';
import type { Database } from '../supabase/database.ts';
import { checkCollection } from './collections.ts';
import type { ImageRef } from './image-ref.ts';
import type { EmbeddingInput } from './input.ts';
import { createListingTally, type ListingTally } from './listing-tally.ts';
import { begunCollections } from './resume.ts';
import type { JobTargets } from './targets.ts';
import { listImages } from './which-images.ts';

export interface PlanOptions {
  input: EmbeddingInput & { job_id: string };
  database: Database;
  targets: JobTargets;
  model: { name: string; dim: number; fingerprint: string };
  skipped: ListingTally;
  /** Told of cutouts whose rows do not say that they have their point. */
  mark: (cutouts: readonly ImageRef[]) => Promise<void>;
  /** Told of images that an earlier run of this job has done. */
  resumed: (images: readonly ImageRef[]) => Promise<void>;
  warn: (message: string) => void;
  log: Log;
  signal: AbortSignal;
}

export interface Plan {
  /** Images by collection, as a pass over the rows counted them just now, with those that an earlier run has done. */
  counts: ReadonlyMap<string, number>;
  images: AsyncGenerator<ImageRef>;
}

/**
 * What can be refused before the first image is read, now that the model is known: collections of another size,
 * distance or model, and filters that the database does not take. Then collections that are missing are made.
 */
export async function planExtraction(options: PlanOptions): Promise<Plan> {
  const { input, database, targets, model, signal } = options;
  const { store, names } = targets;
  await targets.check(signal);
  for (const collection of names) {
    await checkCollection(collection, {
      store,
      model,
      allowMixedModels: input.allow_mixed_models,
      warn: options.warn,
      signal,
    });
  }
  const listing = { input, database, store, model: model.fingerprint, signal };
  const counts = new Map(names.map((name) => [name, 0]));
  const count = ({ collection }: ImageRef): void => {
    counts.set(collection, (counts.get(collection) ?? 0) + 1);
  };
  const job = { store, jobId: targets.doneBy, model: model.fingerprint };
  const begun = await begunCollections(names, { ...job, signal });
  /** A job that begins has nothing to look for. */
  const resume = (done: PlanOptions['resumed']) => (begun.size > 0 ? { ...job, begun, done } : undefined);
  // What a listing warns of belongs into the output too.
  const log: Log = { ...options.log, warn: options.warn };
  const countDone = (images: readonly ImageRef[]): Promise<void> => {
    images.forEach(count);
    return Promise.resolve();
  };
  const counted = listImages({ ...listing, log, tally: options.skipped, resume: resume(countDone) });
  for await (const image of counted) count(image);
  await targets.begin(model.dim, counts, signal);
  const again = {
    log: SILENT_LOG,
    tally: createListingTally(),
    unmarked: options.mark,
    resume: resume(options.resumed),
  };
  return { counts, images: listImages({ ...listing, ...again }) };
}
