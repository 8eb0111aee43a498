import { HandlerError, messageOf, StoreError } from '../base/errors.ts';
import type { PointFilter, VectorStore } from '../qdrant/store.ts';

export interface CollectionCheck {
  store: VectorStore;
  model: { name: string; dim: number; fingerprint: string };
  /** The job says that vectors of several models may lie in one collection. */
  allowMixedModels: boolean;
  warn: (message: string) => void;
  signal: AbortSignal;
}

/**
 * Refuses a collection whose size, distance or model differs, once a job, before its first image; gives one that
 * exists the indexes that it lacks. One that is missing is fine, and is not made here: a job may be refused yet.
 * @throws HandlerError `mixed_models` when it holds another model's vectors and the job does not allow that.
 * @throws StoreError `qdrant_dimension_mismatch`, `qdrant_distance_mismatch`, or that the store did not answer.
 */
export async function checkCollection(collection: string, check: CollectionCheck): Promise<void> {
  const { store, model, signal } = check;
  if ((await store.inspect(collection, signal)) === null) return;
  await store.ensure(collection, model.dim, signal);
  const [unmarked, others] = await Promise.all([
    store.count(collection, { must: [{ isEmpty: 'model' }] }, signal),
    store.count(collection, ofAnotherModel(model.fingerprint), signal),
  ]);
  if (unmarked > 0) {
    check.warn(
      `collection ${collection} holds ${unmarked} points without a model's fingerprint: ` +
        'they were written by an older worker, and nobody can tell whether with this model',
    );
  }
  if (others === 0) return;
  const found = await anyModelOf(store, collection, model.fingerprint, signal);
  const message =
    `collection ${collection} holds ${others} vectors of another model (${found}), this job's is ` +
    `${model.fingerprint}: use another collection, or set allow_mixed_models to true`;
  if (!check.allowMixedModels) throw new HandlerError('mixed_models', message);
  check.warn(message);
}

function ofAnotherModel(fingerprint: string): PointFilter {
  return { mustNot: [{ isEmpty: 'model' }, { key: 'model', match: fingerprint }] };
}

async function anyModelOf(
  store: VectorStore,
  collection: string,
  fingerprint: string,
  signal: AbortSignal,
): Promise<string> {
  const pages = store.scroll(collection, {
    filter: ofAnotherModel(fingerprint),
    keys: ['model'],
    pageSize: 1,
    signal,
  });
  for await (const [point] of pages) return JSON.stringify(point?.payload.model);
  return 'an unknown one';
}

/** How many vectors a collection holds, counted by the store; undefined where the store cannot say. */
export async function countOf(
  store: VectorStore,
  collection: string,
  warn: (message: string) => void,
): Promise<number | undefined> {
  try {
    return await store.count(collection);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'qdrant_not_found') return 0;
    warn(`the points of ${collection} could not be counted: ${messageOf(error)}`);
    return undefined;
  }
}
