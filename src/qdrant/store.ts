import { batches, mapConcurrent } from '../flow/streams.ts';
import {
  changeAliases,
  dropCollection,
  readAliases,
  readNames,
  type AliasChanges,
  type StoreNames,
} from './aliases.ts';
import { ensureCollection, inspectCollection } from './collections.ts';
import { connect, type Connection, type ConnectionOptions } from './connection.ts';
import { storeError } from './errors.ts';
import type { PointFilter } from './filters.ts';
import { canonicalId, groupPoints, toQdrantId, type Point, type PointId } from './points.ts';
import {
  countExactly,
  countPoints,
  retrievePoint,
  retrievePoints,
  scrollPoints,
  searchPoints,
} from './reading.ts';
import type { FoundPoint, ScrollOptions, SearchOptions, StoredPoint } from './reading.ts';

export type { StoreNames } from './aliases.ts';
export type { Condition, PointFilter } from './filters.ts';
export type { Point, PointId } from './points.ts';
export type { StoredPoint } from './reading.ts';

/**
 * Collections and points. Ids come back as Qdrant writes them: uuids in lower case, integers as number, above 2^53 as
 * bigint. Every call is idempotent; each of its requests is tried again, while its error is retryable, for as long as
 * the store's patience (two minutes); it ends with the signal's reason when that aborts.
 */
export interface VectorStore {
  /**
   * Size and distance; null only where Qdrant says that there is no such collection.
   * @throws StoreError `qdrant_rejected` for a collection with named, sparse or multiple vectors
   */
  inspect(collection: string, signal?: AbortSignal): Promise<{ size: number; distance: string } | null>;
  /**
   * When it resolves, the collection exists with this size, cosine distance and the contract's payload indexes.
   * @throws StoreError `qdrant_dimension_mismatch`, `qdrant_distance_mismatch`
   */
  ensure(collection: string, size: number, signal?: AbortSignal): Promise<'created' | 'existed'>;
  /**
   * Resolves when every point is stored and acknowledged; replaces whole points. Large lists go in several requests,
   * some side by side; after an error some of them may be stored. `acknowledged` is told of the points of each request
   * that the store took (the objects as given; of an id that was given twice, both), never after this has settled.
   * @throws StoreError `qdrant_rejected` for a bad id or vector, before anything is sent
   */
  upsert(
    collection: string,
    points: readonly Point[],
    signal?: AbortSignal,
    acknowledged?: (points: readonly Point[]) => void,
  ): Promise<void>;
  /** The wanted keys of those points that exist, by `String(id)` of the id as it was asked for. */
  payloads(
    collection: string,
    ids: readonly PointId[],
    keys: readonly string[],
    signal?: AbortSignal,
  ): Promise<Map<string, Record<string, unknown>>>;
  /** One point with its vector and the wanted keys; undefined where there is none of this id. */
  point(
    collection: string,
    id: PointId,
    keys: readonly string[],
    signal?: AbortSignal,
  ): Promise<(StoredPoint & { vector: Float32Array }) | undefined>;
  /** Is there any such point? Costs the same in a collection of any size. */
  any(collection: string, filter?: PointFilter, signal?: AbortSignal): Promise<boolean>;
  /** Exact, where the server's strict mode allows it. */
  count(collection: string, filter?: PointFilter, signal?: AbortSignal): Promise<number>;
  /** All points, exactly: read one by one where the server's strict mode refuses to count them so. */
  countExactly(collection: string, signal?: AbortSignal): Promise<number>;
  /** All matching points, by id, in pages of at most `pageSize` (256). */
  scroll(collection: string, options: ScrollOptions): AsyncGenerator<StoredPoint[]>;
  /** The nearest points, nearest first. */
  search(collection: string, vector: Float32Array, options: SearchOptions): Promise<FoundPoint[]>;
  /** The collections, and the aliases with what they name. */
  names(signal?: AbortSignal): Promise<StoreNames>;
  /** The aliases alone. */
  aliases(signal?: AbortSignal): Promise<ReadonlyMap<string, string>>;
  /** In one request, of which nobody sees a part. An alias that is there is set over. */
  changeAliases(changes: AliasChanges, signal?: AbortSignal): Promise<void>;
  /** Removes a collection, by its own name, and its aliases; resolves too where there is none. */
  drop(collection: string, signal?: AbortSignal): Promise<void>;
}

export type VectorStoreOptions = ConnectionOptions;

const UPSERT_CONCURRENCY = 3;
const READ_CONCURRENCY = 3;
const READ_IDS = 512;

/** @throws StoreError for an address or key that no request can be made with; nothing is sent yet */
export function createVectorStore(options: VectorStoreOptions): VectorStore {
  const connection = connect(options);
  return {
    async inspect(collection, signal) {
      const shape = await inspectCollection(connection, collection, signal);
      return shape === null ? null : { size: shape.size, distance: shape.distance };
    },
    ensure: (collection, size, signal) => ensureCollection(connection, { collection, size }, signal),
    async upsert(collection, points, signal, acknowledged) {
      const groups = groupPoints(points);
      const given = Map.groupBy(points, ({ id }) => canonicalId(id));
      const send = async (group: readonly Point[]): Promise<true> => {
        await upsertGroup(connection, { collection, group, signal });
        acknowledged?.(group.flatMap(({ id }) => given.get(canonicalId(id)) ?? []));
        return true;
      };
      await Array.fromAsync(mapConcurrent(groups, UPSERT_CONCURRENCY, send, { signal }));
    },
    async payloads(collection, ids, keys, signal) {
      const asked = new Map(ids.map((id) => [canonicalId(id), id]));
      const read = (some: readonly PointId[]) =>
        retrievePoints(connection, { collection, ids: some, keys, signal });
      const found = new Map<string, Record<string, unknown>>();
      const groups = batches(asked.values(), READ_IDS);
      for await (const points of mapConcurrent(groups, READ_CONCURRENCY, read, { signal })) {
        for (const { id, payload } of points) {
          const askedAs = asked.get(canonicalId(id));
          if (askedAs !== undefined) found.set(String(askedAs), payload);
        }
      }
      return found;
    },
    point: (collection, id, keys, signal) => retrievePoint(connection, { collection, id, keys, signal }),
    async any(collection, filter, signal) {
      const pages = scrollPoints(connection, collection, { filter, keys: [], pageSize: 1, signal });
      for await (const _ of pages) return true;
      return false;
    },
    count: (collection, filter, signal) => countPoints(connection, { collection, filter, signal }),
    countExactly: (collection, signal) => countExactly(connection, collection, signal),
    scroll: (collection, query) => scrollPoints(connection, collection, query),
    search: (collection, vector, query) => searchPoints(connection, { ...query, collection, vector }),
    names: (signal) => readNames(connection, signal),
    aliases: (signal) => readAliases(connection, signal),
    changeAliases: (changes, signal) => changeAliases(connection, changes, signal),
    drop: (collection, signal) => dropCollection(connection, collection, signal),
  };
}

/** The JSON is made inside the call: of many groups that wait, only those under way exist as text. */
async function upsertGroup(
  connection: Connection,
  query: { collection: string; group: readonly Point[]; signal: AbortSignal | undefined },
): Promise<void> {
  const { collection, group, signal } = query;
  const what = `upserting ${String(group.length)} points into "${collection}"`;
  await connection.call(
    what,
    async (api, init) => {
      const points = group.map(({ id, vector, payload }) => ({
        id: toQdrantId(id),
        vector: Array.from(vector),
        payload,
      }));
      const answer = await api.upsertPoints({ collection_name: collection, wait: true, points }, init);
      const status = answer.data.result?.status;
      // A repeated upsert does no harm; one that is believed and never applied would lose points.
      if (status !== undefined && status !== 'completed') {
        const text = `${what}: Qdrant answered "${status}" where it was asked to complete`;
        throw storeError('qdrant_unavailable', text, { retryable: true, status: 200 });
      }
      return answer;
    },
    signal,
  );
}
