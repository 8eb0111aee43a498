import { batches, mapConcurrent, type Source } from '../flow/streams.ts';
import type { VectorStore } from '../qdrant/store.ts';
import type { ImageRef } from './image-ref.ts';

export interface ResumeOptions {
  store: VectorStore;
  /** The job at work (undefined: any job's points count), and the fingerprint of its model. */
  jobId: string | undefined;
  model: string;
  /** The collections in which the job had points when it started: no other is asked. */
  begun: ReadonlySet<string>;
  /** Told of images that have their point from this job: written by a run of it that died, or was stopped. */
  done: (images: readonly ImageRef[]) => Promise<void>;
  signal?: AbortSignal | undefined;
}

/** Images compared with the store at once. */
const BATCH = 256;
/** Batches under way together; one more waits to be taken. */
const BATCHES_AHEAD = 2;

/** Those of the collections that hold points of this job. A collection that does not exist holds none. */
export async function begunCollections(
  collections: readonly string[],
  {
    store,
    jobId,
    signal,
  }: { store: VectorStore; jobId: string | undefined; signal?: AbortSignal | undefined },
): Promise<Set<string>> {
  const filter = jobId === undefined ? undefined : { must: [{ key: 'job_id', match: jobId }] };
  const begun = await Promise.all(
    collections.map(async (collection) => {
      if ((await store.inspect(collection, signal)) === null) return [];
      return (await store.any(collection, filter, signal)) ? [collection] : [];
    }),
  );
  return new Set(begun.flat());
}

/**
 * Passes on, in order, the images that this job has not done yet. An image is done where its point carries the job's id
 * and the model's fingerprint: a run that was killed goes on where it was, and a first run asks for nothing.
 */
export async function* withoutDone(
  images: Source<ImageRef>,
  options: ResumeOptions,
): AsyncGenerator<ImageRef> {
  const compared = mapConcurrent(
    batches(images, BATCH),
    BATCHES_AHEAD,
    async (batch) => ({ batch, done: await doneOf(batch, options) }),
    { ordered: true, signal: options.signal },
  );
  for await (const { batch, done } of compared) {
    if (done.size > 0) await options.done([...done]);
    yield* batch.filter((ref) => !done.has(ref));
  }
}

async function doneOf(batch: readonly ImageRef[], options: ResumeOptions): Promise<Set<ImageRef>> {
  const { store, jobId, model, begun, signal } = options;
  const parts = Map.groupBy(
    batch.filter((ref) => begun.has(ref.collection)),
    (ref) => ref.collection,
  );
  const done = await Promise.all(
    [...parts].map(async ([collection, refs]) => {
      const ids = refs.map((ref) => ref.pointId);
      const payloads = await store.payloads(collection, ids, ['job_id', 'model'], signal);
      return refs.filter((ref) => {
        const payload = payloads.get(String(ref.pointId));
        return payload?.model === model && (jobId === undefined || payload.job_id === jobId);
      });
    }),
  );
  return new Set(done.flat());
}
