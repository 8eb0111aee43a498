import { StoreError } from '../base/errors.ts';
import type { Connection } from './connection.ts';
import { toQdrantFilter, type PointFilter } from './filters.ts';
import { plainPayload, toQdrantId, toQdrantVector, type PointId } from './points.ts';

export interface ScrollOptions {
  filter?: PointFilter | undefined;
  /** Payload keys to return: none where empty, all where absent. */
  keys?: readonly string[];
  withVectors?: boolean;
  pageSize?: number;
  signal?: AbortSignal | undefined;
}

export interface SearchOptions {
  limit: number;
  filter?: PointFilter | undefined;
  /** Payload keys to return; all of them where absent. */
  keys?: readonly string[];
  signal?: AbortSignal | undefined;
}

export interface StoredPoint {
  id: PointId;
  payload: Record<string, unknown>;
  /** As stored: a collection with cosine distance holds it normalised. */
  vector?: Float32Array;
}

export interface FoundPoint {
  id: PointId;
  /** Cosine similarity, -1 to 1, higher is nearer. */
  score: number;
  payload: Record<string, unknown>;
}

const SCROLL_PAGE = 256;
/** Ids alone are small. */
const COUNTING_PAGE = 10_000;

interface Query {
  collection: string;
  signal?: AbortSignal | undefined;
}

export async function retrievePoints(
  connection: Connection,
  { collection, ids, keys, signal }: Query & { ids: readonly PointId[]; keys: readonly string[] },
): Promise<StoredPoint[]> {
  const points = await connection.call(
    `reading ${String(ids.length)} points of "${collection}"`,
    (api, init) =>
      api.getPoints(
        {
          collection_name: collection,
          ids: ids.map(toQdrantId),
          with_payload: wanted(keys),
          with_vector: false,
        },
        init,
      ),
    signal,
  );
  return points.map(({ id, payload }) => ({ id, payload: plainPayload(payload) }));
}

/** One point with its vector; undefined where there is none of this id. */
export async function retrievePoint(
  connection: Connection,
  { collection, id, keys, signal }: Query & { id: PointId; keys: readonly string[] },
): Promise<(StoredPoint & { vector: Float32Array }) | undefined> {
  const [point] = await connection.call(
    `reading point ${String(id)} of "${collection}"`,
    (api, init) =>
      api.getPoints(
        { collection_name: collection, ids: [toQdrantId(id)], with_payload: wanted(keys), with_vector: true },
        init,
      ),
    signal,
  );
  if (point === undefined) return undefined;
  return { id: point.id, payload: plainPayload(point.payload), vector: vectorOf(point.vector) };
}

type CountQuery = Query & { filter?: PointFilter | undefined };

export async function countPoints(connection: Connection, query: CountQuery): Promise<number> {
  return (await tryCount(connection, query, true)) ?? (await tryCount(connection, query, false)) ?? 0;
}

export async function countExactly(
  connection: Connection,
  collection: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const counted = await tryCount(connection, { collection, signal }, true);
  if (counted !== undefined) return counted;
  let points = 0;
  const pages = scrollPoints(connection, collection, { keys: [], pageSize: COUNTING_PAGE, signal });
  for await (const page of pages) points += page.length;
  return points;
}

/** Undefined where the server does not count exactly. */
async function tryCount(
  connection: Connection,
  { collection, filter, signal }: CountQuery,
  exact: boolean,
): Promise<number | undefined> {
  try {
    const { count } = await connection.call(
      `counting the points of "${collection}"`,
      (api, init) => api.countPoints({ collection_name: collection, exact, ...filterOf(filter) }, init),
      signal,
    );
    return count;
  } catch (error) {
    if (exact && isRefusal(error, 'qdrant_exact_disabled')) return undefined;
    throw error;
  }
}

/** What a strict server refuses it takes in another form. */
function isRefusal(error: unknown, code: string): boolean {
  return error instanceof StoreError && error.code === code;
}

export async function searchPoints(
  connection: Connection,
  { collection, vector, limit, filter, keys, signal }: Query & SearchOptions & { vector: Float32Array },
): Promise<FoundPoint[]> {
  const query = toQdrantVector(vector, 'the query');
  const { points } = await connection.call(
    `searching "${collection}"`,
    (api, init) =>
      api.queryPoints(
        { collection_name: collection, query, limit, with_payload: wanted(keys), ...filterOf(filter) },
        init,
      ),
    signal,
  );
  return points.map(({ id, score, payload }) => ({ id, score, payload: plainPayload(payload) }));
}

export async function* scrollPoints(
  connection: Connection,
  collection: string,
  { filter, keys, withVectors = false, pageSize = SCROLL_PAGE, signal }: ScrollOptions,
): AsyncGenerator<StoredPoint[]> {
  let offset: string | number | undefined;
  let limit = pageSize;
  const read = () =>
    connection.call(
      `reading the points of "${collection}"`,
      (api, init) =>
        api.scrollPoints(
          {
            collection_name: collection,
            limit,
            with_payload: wanted(keys),
            with_vector: withVectors,
            ...(offset === undefined ? {} : { offset }),
            ...filterOf(filter),
          },
          init,
        ),
      signal,
    );
  /** A strict server has a limit of its own to a page. */
  const readWithin = async (): ReturnType<typeof read> => {
    try {
      return await read();
    } catch (error) {
      if (!isRefusal(error, 'qdrant_over_limit') || limit === 1) throw error;
      limit = Math.ceil(limit / 2);
      return readWithin();
    }
  };
  do {
    const page = await readWithin();
    const points = page.points.map(({ id, payload, vector }) => ({
      id,
      payload: plainPayload(payload),
      ...(withVectors ? { vector: vectorOf(vector) } : {}),
    }));
    if (points.length > 0) yield points;
    offset = nextOffset(page.next_page_offset);
  } while (offset !== undefined);
}

/** The client's types know several forms of vectors; ours is a list of numbers. */
function vectorOf(vector: unknown): Float32Array {
  return Float32Array.from(vector as ArrayLike<number>, Number);
}

/** The client's types say that it could be any object; it is an id, a bigint where it needs one, or null. */
function nextOffset(value: unknown): string | number | undefined {
  if (value === null || value === undefined) return undefined;
  return toQdrantId(value as PointId);
}

function wanted(keys: readonly string[] | undefined): boolean | string[] {
  if (keys === undefined) return true;
  return keys.length === 0 ? false : [...keys];
}

function filterOf(filter: PointFilter | undefined) {
  const made = toQdrantFilter(filter);
  return made === undefined ? {} : { filter: made };
}
