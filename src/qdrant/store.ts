import { StoreError } from '../base/errors.ts';

/** An unsigned 64-bit integer (a bigint above 2^53) or a uuid. */
export type PointId = string | number | bigint;

export interface Point {
  id: PointId;
  vector: Float32Array;
  payload: Record<string, unknown>;
}

export type Condition =
  | { key: string; match: string | number | boolean }
  | { key: string; any: readonly (string | number)[] }
  | { isEmpty: string };

export interface PointFilter {
  must?: readonly Condition[];
  mustNot?: readonly Condition[];
}

export interface ScrollOptions {
  filter?: PointFilter;
  keys: readonly string[];
  withVectors?: boolean;
  pageSize?: number;
  signal?: AbortSignal;
}

export interface SearchOptions {
  limit: number;
  filter?: PointFilter;
  /** Payload keys to return; all of them where absent. */
  keys?: readonly string[];
  signal?: AbortSignal;
}

export interface StoredPoint {
  id: PointId;
  payload: Record<string, unknown>;
  vector?: Float32Array;
}

export interface FoundPoint {
  id: PointId;
  score: number;
  payload: Record<string, unknown>;
}

export interface VectorStore {
  inspect(collection: string, signal?: AbortSignal): Promise<{ size: number; distance: string } | null>;
  ensure(collection: string, size: number, signal?: AbortSignal): Promise<'created' | 'existed'>;
  upsert(collection: string, points: readonly Point[], signal?: AbortSignal): Promise<void>;
  payloads(
    collection: string,
    ids: readonly PointId[],
    keys: readonly string[],
    signal?: AbortSignal,
  ): Promise<Map<string, Record<string, unknown>>>;
  count(collection: string, filter?: PointFilter, signal?: AbortSignal): Promise<number>;
  scroll(collection: string, options: ScrollOptions): AsyncGenerator<StoredPoint[]>;
  search(collection: string, vector: Float32Array, options: SearchOptions): Promise<FoundPoint[]>;
}

export interface VectorStoreOptions {
  url: string;
  apiKey?: string;
  timeoutMs?: number;
}

export function createVectorStore(options: VectorStoreOptions): VectorStore {
  throw new StoreError('qdrant', 'qdrant_unreachable', `not built yet: ${options.url}`);
}
