import { z } from 'zod';

import { StoreError } from '../base/errors.ts';
import type { Connection } from './connection.ts';
import { storeError } from './errors.ts';

/** The contract's payload indexes: what the page and the search filter by; and what tells a job's own points, and a model's. */
const PAYLOAD_INDEXES = {
  source: 'keyword',
  product_id: 'keyword',
  barcode: 'keyword',
  is_primary: 'bool',
  job_id: 'keyword',
  model: 'keyword',
} as const;

const DISTANCE = 'Cosine';

const INFO = z.object({
  config: z.object({ params: z.object({ vectors: z.unknown() }) }),
  payload_schema: z.record(z.string(), z.unknown()).nullish(),
});

const SINGLE_VECTOR = z.object({
  size: z.coerce.number(),
  distance: z.string(),
  multivector_config: z.null().optional(),
});

export interface CollectionShape {
  size: number;
  distance: string;
  indexes: readonly string[];
}

/**
 * Size, distance and payload indexes of a collection (or of the one an alias names); null where there is none.
 * @throws StoreError `qdrant_rejected` where it holds named, sparse or multiple vectors
 */
export async function inspectCollection(
  connection: Connection,
  collection: string,
  signal: AbortSignal | undefined,
): Promise<CollectionShape | null> {
  let answer: unknown;
  try {
    answer = await connection.call(
      `looking at collection "${collection}"`,
      (api, init) => api.getCollection({ collection_name: collection }, init),
      signal,
    );
  } catch (error) {
    // Whatever else went wrong, it does not mean that the collection is absent.
    if (error instanceof StoreError && error.code === 'qdrant_not_found') return null;
    throw error;
  }
  const info = INFO.safeParse(answer);
  const vector = info.success ? SINGLE_VECTOR.safeParse(info.data.config.params.vectors) : info;
  if (!info.success || !vector.success) {
    const text = `collection "${collection}" does not hold one unnamed vector a point: named, sparse and multiple vectors are not supported; use another collection`;
    throw storeError('qdrant_rejected', text);
  }
  const { size, distance } = vector.data;
  return { size, distance, indexes: Object.keys(info.data.payload_schema ?? {}) };
}

/**
 * A collection with this size, cosine distance and the contract's payload indexes exists when this resolves, whoever
 * made it.
 * @throws StoreError `qdrant_dimension_mismatch`, `qdrant_distance_mismatch`
 */
export async function ensureCollection(
  connection: Connection,
  target: { collection: string; size: number },
  signal: AbortSignal | undefined,
): Promise<'created' | 'existed'> {
  const { collection } = target;
  const before = await inspectCollection(connection, collection, signal);
  const created = before === null && (await createCollection(connection, target, signal));
  const shape = before ?? (await inspectCollection(connection, collection, signal));
  if (shape === null) {
    throw storeError('qdrant_not_found', `collection "${collection}" was removed while it was being made`);
  }
  checkShape(target, shape);
  const missing = Object.entries(PAYLOAD_INDEXES).filter(([field]) => !shape.indexes.includes(field));
  await Promise.all(
    missing.map(([field, type]) =>
      connection.call(
        `indexing "${field}" of collection "${collection}"`,
        (api, init) =>
          api.createFieldIndex(
            { collection_name: collection, wait: true, field_name: field, field_schema: type },
            init,
          ),
        signal,
      ),
    ),
  );
  return created ? 'created' : 'existed';
}

/** False where somebody else was faster, or an earlier try of ours got through unheard. */
async function createCollection(
  connection: Connection,
  { collection, size }: { collection: string; size: number },
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    await connection.call(
      `creating collection "${collection}"`,
      (api, init) =>
        api.createCollection({ collection_name: collection, vectors: { size, distance: DISTANCE } }, init),
      signal,
    );
    return true;
  } catch (error) {
    const exists =
      error instanceof StoreError &&
      (error.status === 409 || (error.status === 400 && /already exists/i.test(error.message)));
    if (exists) return false;
    throw error;
  }
}

function checkShape(target: { collection: string; size: number }, found: CollectionShape): void {
  const name = `collection "${target.collection}"`;
  if (found.size !== target.size) {
    const text = `${name} holds vectors of ${String(found.size)} numbers, and ${String(target.size)} were expected: use another collection, or the model it was made for`;
    throw storeError('qdrant_dimension_mismatch', text);
  }
  if (found.distance !== DISTANCE) {
    const text = `${name} measures ${found.distance} distance, and ${DISTANCE} was expected: use another collection`;
    throw storeError('qdrant_distance_mismatch', text);
  }
}
