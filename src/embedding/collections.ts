import { HandlerError, messageOf, StoreError } from '../base/errors.ts';
import type { PointFilter, StoredPoint, VectorStore } from '../qdrant/store.ts';

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
  const shape = await store.inspect(collection, signal);
  if (shape === null) return;
  // Of another shape, whatever it holds: `ensure` says so and changes nothing.
  if (shape.size === model.dim) {
    try {
      await checkModels(collection, check);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'qdrant_index_required') throw error;
      // In strict mode nothing can be asked before its index is there.
      await store.ensure(collection, model.dim, signal);
      await checkModels(collection, check);
    }
  }
  await store.ensure(collection, model.dim, signal);
}

/** One point of each kind is enough to know, and costs the same in a collection of any size. */
async function checkModels(collection: string, check: CollectionCheck): Promise<void> {
  const { store, model, signal } = check;
  const [unmarked, other] = await Promise.all([
    onePoint(store, collection, { must: [{ isEmpty: 'model' }] }, signal),
    onePoint(store, collection, ofAnotherModel(model.fingerprint), signal),
  ]);
  if (unmarked !== undefined) {
    check.warn(
      `collection ${collection} holds points without a model's fingerprint: ` +
        'they were written by an older worker, and nobody can tell whether with this model',
    );
  }
  if (other === undefined) return;
  const message =
    `collection ${collection} holds vectors of another model (${String(other.payload.model)}), this job's is ` +
    `${model.fingerprint}: use another collection, or set allow_mixed_models to true`;
  if (!check.allowMixedModels) throw new HandlerError('mixed_models', message);
  check.warn(message);
}

function ofAnotherModel(fingerprint: string): PointFilter {
  return { mustNot: [{ isEmpty: 'model' }, { key: 'model', match: fingerprint }] };
}

async function onePoint(
  store: VectorStore,
  collection: string,
  filter: PointFilter,
  signal: AbortSignal,
): Promise<StoredPoint | undefined> {
  const pages = store.scroll(collection, { filter, keys: ['model'], pageSize: 1, signal });
  for await (const [point] of pages) return point;
  return undefined;
}

/** How many vectors a collection holds, counted by the store; undefined where the store cannot say. */
export async function countOf(
  store: VectorStore,
  collection: string,
  warn: (message: string) => void,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    return await store.count(collection, undefined, signal);
  } catch (error) {
    if (error instanceof StoreError && error.code === 'qdrant_not_found') return 0;
    warn(`the points of ${collection} could not be counted: ${messageOf(error)}`);
    return undefined;
  }
}
