import { z } from 'zod';

import { HandlerError, InputError } from '../../base/errors.ts';
import type { VectorStore } from '../../qdrant/store.ts';
import type { Database } from '../../supabase/database.ts';
import type { Lookup } from '../plan/lookup.ts';
import { listCollections, type CollectionRow } from './collection-rows.ts';
import type { EmbedImage, EmbeddedQuery } from './embed-image.ts';

/** A point near the one that was asked for. */
const NEIGHBOUR = z.object({
  id: z.union([z.string(), z.number()]),
  score: z.number().describe('Cosine similarity, -1 to 1, higher is nearer.'),
  payload: z.record(z.string(), z.unknown()),
});
export const SEARCH_RESULT = z.object({
  collection: z.string(),
  model: z
    .string()
    .nullable()
    .describe('The fingerprint of what made the vector; null where nobody has marked it.'),
  results: z.array(NEIGHBOUR).describe('Nearest first.'),
});
export type SearchResult = z.infer<typeof SEARCH_RESULT>;

export interface SearchParts {
  database: Database;
  store: VectorStore;
  signal: AbortSignal;
}

export interface CutoutSearch {
  collection: string;
  cutout_id: string;
  /** Where the cutout's vector is; absent: as the collection's row says. */
  cutout_collection?: string | undefined;
  limit: number;
}

const CUTOUT = z.object({ id: z.string(), qdrant_point_id: z.string().nullable() });

/**
 * Searches with the vector that a cutout has already.
 * @throws HandlerError `cutout_not_found`, `cutout_not_embedded`, `collection_not_found`, `mixed_models`; InputError
 * where nobody says in which collection the cutout is.
 */
export async function searchByCutout(query: CutoutSearch, parts: SearchParts): Promise<SearchResult> {
  const { collection, cutout_id: id } = query;
  const { database, store, signal } = parts;
  const [size, cutout, row] = await Promise.all([
    sizeOf(collection, parts),
    database.find({
      table: 'cutout_images',
      columns: 'id,qdrant_point_id',
      schema: CUTOUT,
      filters: [{ column: 'id', op: 'eq', value: id }],
      signal,
    }),
    rowOf(collection, parts),
  ]);
  if (cutout === undefined) throw new HandlerError('cutout_not_found', `there is no cutout ${id}`);
  const from = query.cutout_collection ?? row?.cutout_collection ?? undefined;
  if (from === undefined) {
    const message = `is missing; the row of "${collection}" names no collection of cutouts, so expected one`;
    throw new InputError([{ key: 'cutout_collection', message }]);
  }
  await sizeOf(from, parts);
  const point = await store.point(from, cutout.qdrant_point_id ?? cutout.id, ['model'], signal);
  if (point === undefined) {
    const message = `cutout ${id} has no point in "${from}": embed it first`;
    throw new HandlerError('cutout_not_embedded', message);
  }
  const model = typeof point.payload.model === 'string' ? point.payload.model : null;
  return searchBy({ vector: point.vector, model }, { ...query, size }, parts);
}

export interface ImageSearch {
  collection: string;
  limit: number;
  /** A row of `embedding_models`; absent: as the collection's row says. */
  model_id?: string | undefined;
}

/**
 * Searches with an image that nobody has embedded before.
 * @throws HandlerError `collection_not_found`, `mixed_models`, `image_not_embedded`; InputError where nobody says with
 * which model the collection was filled.
 */
export async function searchByImage(
  image: Uint8Array,
  query: ImageSearch,
  parts: SearchParts & { lookup: Pick<Lookup, 'model'>; embedImage: EmbedImage },
): Promise<SearchResult> {
  const { collection, model_id: given } = query;
  const [size, row] = await Promise.all([sizeOf(collection, parts), rowOf(collection, parts)]);
  const id = given ?? row?.embedding_model_id ?? undefined;
  if (id === undefined) {
    const message = `is missing; the row of "${collection}" names no model, so expected the one that filled it`;
    throw new InputError([{ key: 'model_id', message }]);
  }
  const model = await parts.lookup.model(id);
  if (model === undefined)
    throw new InputError([
      { key: 'model_id', message: 'is no model; expected the id of a row of embedding_models' },
    ]);
  const embedded: EmbeddedQuery = await parts.embedImage(image, model, parts.signal);
  return searchBy(embedded, { ...query, size }, parts);
}

interface Query {
  vector: Float32Array;
  model: string | null;
}

async function searchBy(
  { vector, model }: Query,
  { collection, limit, size }: { collection: string; limit: number; size: number },
  { store, signal }: SearchParts,
): Promise<SearchResult> {
  if (vector.length !== size) {
    const message = `the vector has ${vector.length} numbers, those of "${collection}" have ${size}: they are of different models`;
    throw new HandlerError('mixed_models', message);
  }
  const found = await store.search(collection, vector, { limit, signal });
  const other = found.find(({ payload }) => isOfAnother(payload.model, model));
  if (other !== undefined) {
    const message = `"${collection}" holds vectors of ${String(other.payload.model)}, the one to search with is of ${String(model)}`;
    throw new HandlerError('mixed_models', message);
  }
  // Ids above 2^53 are bigints, which JSON does not know.
  const results = found.map(({ id, ...rest }) => ({ id: typeof id === 'bigint' ? String(id) : id, ...rest }));
  return { collection, model, results };
}

/** Where one of the two is not marked, nobody can tell. */
function isOfAnother(found: unknown, model: string | null): boolean {
  return model !== null && typeof found === 'string' && found !== model;
}

async function sizeOf(collection: string, { store, signal }: SearchParts): Promise<number> {
  const shape = await store.inspect(collection, signal);
  if (shape !== null) return shape.size;
  throw new HandlerError('collection_not_found', `there is no collection "${collection}"`);
}

async function rowOf(name: string, { database, signal }: SearchParts): Promise<CollectionRow | undefined> {
  return (await listCollections(database, { limit: 1, name, signal }))[0];
}
