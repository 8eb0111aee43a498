import type { z } from 'zod';

import { StoreError } from '../base/errors.ts';
import type { Answer, Connection } from './connection.ts';
import { filterTerm, splitLongLists, type Filter } from './filters.ts';
import { parseRows } from './rows.ts';

export interface ReadQuery<T> {
  table: string;
  /** As PostgREST's `select`; may embed: `id,cutout_images!inner()`. */
  columns: string;
  /** Applied to each row. */
  schema: z.ZodType<T>;
  filters?: readonly Filter[] | undefined;
  signal?: AbortSignal | undefined;
}

export interface PagesQuery<T> extends ReadQuery<T> {
  /** The column to page by: among `columns`, never null, and unique among the rows that the filters let through. */
  key?: string;
  pageSize?: number;
}

export interface CountQuery extends Pick<ReadQuery<unknown>, 'table' | 'filters' | 'signal'> {
  /** Where rows are filtered by a table that is embedded: `id,cutout_images!inner()`. */
  columns?: string;
}

export type EndsQuery<T> = ReadQuery<T> & Required<Pick<PagesQuery<T>, 'key'>>;

/** What a project gives at most, unless it was configured otherwise; more is cut in silence. */
const PAGE_SIZE = 1_000;

/**
 * Reads everything that matches, in pages ordered by key (within each part of long `in` lists), each row once. A page
 * may be shorter than asked for: only an empty one is the end. Rows that are there from start to end are all read;
 * rows added meanwhile may be. Holds one page.
 * @throws StoreError, also for a row that does not fit the schema
 */
export async function* readPages<T>(connection: Connection, query: PagesQuery<T>): AsyncGenerator<T[]> {
  const { key = 'id', pageSize = PAGE_SIZE, filters = [] } = query;
  const { parts, cut } = splitLongLists(filters);
  if (cut.some((column) => column.includes('.'))) {
    throw new StoreError(
      'supabase',
      'supabase_rejected',
      `reading ${query.table}: a long list on an embedded column`,
    );
  }
  for (const part of parts) {
    // Nobody can add a row to a list of keys once each has been seen.
    const keys = part.find((filter) => filter.op === 'in' && filter.column === key);
    const most = keys?.op === 'in' ? keys.value.length : Infinity;
    let last: Filter[] = [];
    for (let seen = 0; seen < most;) {
      const rows = await readRows(
        connection,
        { ...query, filters: [...part, ...last] },
        { key, limit: pageSize },
      );
      if (rows.length === 0) break;
      seen += rows.length;
      last = [{ column: key, op: 'gt', value: keyOf(rows.at(-1), key, query.table) }];
      yield parseRows(rows, query);
    }
  }
}

/** The first row that matches, or undefined. Which one is first is up to the database. */
export async function findRow<T>(connection: Connection, query: ReadQuery<T>): Promise<T | undefined> {
  for (const filters of splitLongLists(query.filters ?? []).parts) {
    const rows = await readRows(connection, { ...query, filters }, { key: undefined, limit: 1 });
    if (rows.length > 0) return parseRows(rows, query)[0];
  }
  return undefined;
}

export async function countRows(connection: Connection, query: CountQuery): Promise<number> {
  let rows = 0;
  for (const filters of splitLongLists(query.filters ?? []).parts) {
    const { count } = await connection.request<unknown>({
      what: `counting ${query.table}`,
      repeat: 'safe',
      signal: query.signal,
      send: (client) => {
        let request = client.from(query.table).select(query.columns ?? '*', { count: 'exact', head: true });
        for (const { column, operator, operand } of filters.map(filterTerm)) {
          request = request.filter(column, operator, operand);
        }
        return request;
      },
    });
    rows += count ?? 0;
  }
  return rows;
}

/** The rows with the lowest and the highest key of each part that a long list is cut into; none where nothing matches. */
export async function readEnds<T>(connection: Connection, query: EndsQuery<T>): Promise<T[]> {
  const { key, filters = [] } = query;
  const ends: unknown[] = [];
  for (const part of splitLongLists(filters).parts) {
    for (const ascending of [true, false]) {
      ends.push(...(await readRows(connection, { ...query, filters: part }, { key, ascending, limit: 1 })));
    }
  }
  return parseRows(ends, query);
}

async function readRows(
  connection: Connection,
  query: Pick<ReadQuery<unknown>, 'table' | 'columns' | 'filters' | 'signal'>,
  { key, ascending = true, limit }: { key: string | undefined; ascending?: boolean; limit: number },
): Promise<unknown[]> {
  const { data } = await connection.request<unknown[]>({
    what: `reading ${query.table}`,
    repeat: 'safe',
    signal: query.signal,
    send: (client) => {
      let request = client.from(query.table).select(query.columns);
      for (const { column, operator, operand } of (query.filters ?? []).map(filterTerm)) {
        request = request.filter(column, operator, operand);
      }
      const ordered = key === undefined ? request : request.order(key, { ascending });
      return ordered.limit(limit).then(listOrError);
    },
  });
  return data ?? [];
}

/** An answer that is no list must not pass for the end of one. */
function listOrError(answer: Answer<unknown[]>): Answer<unknown[]> {
  if (answer.error !== null || Array.isArray(answer.data)) return answer;
  return { data: null, error: { message: 'the answer is no list of rows' } };
}

function keyOf(row: unknown, key: string, table: string): string | number {
  const value = typeof row === 'object' && row !== null ? (row as Record<string, unknown>)[key] : undefined;
  if (typeof value === 'string' || typeof value === 'number') return value;
  const message = `reading ${table}: the key column ${key} is not among the columns, or null`;
  throw new StoreError('supabase', 'supabase_rejected', message);
}
