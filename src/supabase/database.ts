import type { StoreError } from '../base/errors.ts';
import { STORE_PATIENCE_MS } from '../flow/retry.ts';
import { openConnection } from './connection.ts';
import { newestRows, type NewestQuery } from './newest.ts';
import { countRows, findRow, readEnds, readPages } from './pages.ts';
import type { CountQuery, EndsQuery, PagesQuery, ReadQuery } from './pages.ts';
import { ensureBucket, signUrls, uploadObject } from './storage.ts';
import type { BucketQuery, SignUrlsQuery, UploadQuery } from './storage.ts';
import { callFunction, insertRows, removeRows, updateRows, upsertRows } from './writes.ts';
import type { CallQuery, InsertQuery, RemoveQuery, UpdateQuery, UpsertQuery } from './writes.ts';

export type { Filter } from './filters.ts';

/**
 * Rows, functions and objects of one Supabase project. Every method throws a StoreError (codes in src/supabase/errors.ts
 * and rows.ts), or the signal's reason when it was told to stop. Reads and repeatable writes are tried again while
 * their error is retryable, for as long as the patience (two minutes); inserts only where an attempt cannot have arrived.
 */
export interface Database {
  /** Everything that matches, in pages by key, each row once; an `in` list may hold any number of values. */
  pages<T>(query: PagesQuery<T>): AsyncGenerator<T[]>;
  /** The first row that matches, or undefined. */
  find<T>(query: ReadQuery<T>): Promise<T | undefined>;
  /** The newest rows that match, newest first. */
  newest<T>(query: NewestQuery<T>): Promise<T[]>;
  /** Rows among which are those with the lowest and the highest key of all that match. */
  ends<T>(query: EndsQuery<T>): Promise<T[]>;
  /** How many rows match, exactly. */
  count(query: CountQuery): Promise<number>;
  /** How many rows were changed. */
  update(query: UpdateQuery): Promise<number>;
  upsert(query: UpsertQuery): Promise<void>;
  insert(query: InsertQuery): Promise<void>;
  remove(query: RemoveQuery): Promise<void>;
  /** What a function returned. */
  call<T>(query: CallQuery<T>): Promise<T>;
  /** An address a path, in order; a StoreError `storage_not_found` in the place of a missing one. */
  signUrls(query: SignUrlsQuery): Promise<(string | StoreError)[]>;
  /** Writes an object, replacing what is there. */
  upload(query: UploadQuery): Promise<void>;
  ensureBucket(query: BucketQuery): Promise<'created' | 'existed'>;
}

export interface DatabaseOptions {
  /** As in `https://<project>.supabase.co`. */
  url: string;
  /** The service role key: a JWT or `sb_secret_...`. Never in an error. */
  key: string;
  /** For each attempt, its body included. */
  timeoutMs?: number | undefined;
  /** How long a request is tried again, from its first try on, while its error says so. */
  patienceMs?: number | undefined;
  /** Told of each further try of a request. */
  onRetry?: () => void;
  fetch?: typeof fetch;
}

/** Above PostgREST's usual statement time-out (8 s), so that the database's own word on it arrives. */
const DATABASE_TIMEOUT_MS = 15_000;

/** Opens nothing yet and leaves nothing behind: no session, no timer, no socket of its own. */
export function createDatabase(options: DatabaseOptions): Database {
  const connection = openConnection({
    url: options.url,
    key: options.key,
    timeoutMs: options.timeoutMs ?? DATABASE_TIMEOUT_MS,
    patienceMs: options.patienceMs ?? STORE_PATIENCE_MS,
    onRetry: options.onRetry ?? (() => undefined),
    fetch: options.fetch ?? fetch,
  });
  return {
    pages: (query) => readPages(connection, query),
    find: (query) => findRow(connection, query),
    newest: (query) => newestRows(connection, query),
    ends: (query) => readEnds(connection, query),
    count: (query) => countRows(connection, query),
    update: (query) => updateRows(connection, query),
    upsert: (query) => upsertRows(connection, query),
    insert: (query) => insertRows(connection, query),
    remove: (query) => removeRows(connection, query),
    call: (query) => callFunction(connection, query),
    signUrls: (query) => signUrls(connection, query),
    upload: (query) => uploadObject(connection, query),
    ensureBucket: (query) => ensureBucket(connection, query),
  };
}
