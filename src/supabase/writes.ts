import type { z } from 'zod';

import type { Connection } from './connection.ts';
import { filterTerm, splitLongLists, type Filter } from './filters.ts';
import { parseRow } from './rows.ts';

export interface UpdateQuery {
  table: string;
  values: Record<string, unknown>;
  /** At least one: a whole table is never updated. */
  filters: readonly Filter[];
  signal?: AbortSignal | undefined;
}

export interface RemoveQuery {
  table: string;
  /** At least one: a whole table is never emptied. */
  filters: readonly Filter[];
  signal?: AbortSignal | undefined;
}

export interface InsertQuery {
  table: string;
  /** All with the same keys. */
  rows: readonly Record<string, unknown>[];
  signal?: AbortSignal | undefined;
}

export interface UpsertQuery extends InsertQuery {
  /** The columns of the unique constraint, comma-separated. */
  onConflict: string;
}

export interface CallQuery<T> {
  /** A function that may run twice with the same outcome: it is tried again when no answer came. */
  name: string;
  args: Record<string, unknown>;
  /** Of what the function returns as a whole. */
  schema: z.ZodType<T>;
  signal?: AbortSignal | undefined;
}

/** Rows in one request; a request of rows of ours stays far below a megabyte. */
const ROWS_PER_REQUEST = 500;

/** Returns how many rows were changed, summed over the parts of long `in` lists. */
export async function updateRows(connection: Connection, query: UpdateQuery): Promise<number> {
  if (query.filters.length === 0) throw new TypeError(`an update of ${query.table} needs a filter`);
  let changed = 0;
  for (const filters of splitLongLists(query.filters).parts) {
    const { count } = await connection.request({
      what: `updating ${query.table}`,
      repeat: 'safe',
      signal: query.signal,
      send: (client) => {
        let request = client.from(query.table).update(query.values, { count: 'exact' });
        for (const { column, operator, operand } of filters.map(filterTerm)) {
          request = request.filter(column, operator, operand);
        }
        return request;
      },
    });
    changed += count ?? 0;
  }
  return changed;
}

/** Deletes rows; of those that are gone already nothing is said. */
export async function removeRows(connection: Connection, query: RemoveQuery): Promise<void> {
  if (query.filters.length === 0) throw new TypeError(`a removal from ${query.table} needs a filter`);
  for (const filters of splitLongLists(query.filters).parts) {
    await connection.request({
      what: `deleting from ${query.table}`,
      repeat: 'safe',
      signal: query.signal,
      send: (client) => {
        let request = client.from(query.table).delete();
        for (const { column, operator, operand } of filters.map(filterTerm)) {
          request = request.filter(column, operator, operand);
        }
        return request;
      },
    });
  }
}

/** Writes rows whether they exist or not; a column that a row leaves out keeps its value or gets its default. */
export async function upsertRows(connection: Connection, query: UpsertQuery): Promise<void> {
  for (const rows of inRequests(query.rows)) {
    await connection.request({
      what: `upserting into ${query.table}`,
      repeat: 'safe',
      signal: query.signal,
      send: (client) =>
        client.from(query.table).upsert(rows, { onConflict: query.onConflict, defaultToNull: false }),
    });
  }
}

/** Adds rows. Not tried again where the first attempt may have arrived. */
export async function insertRows(connection: Connection, query: InsertQuery): Promise<void> {
  for (const rows of inRequests(query.rows)) {
    await connection.request({
      what: `inserting into ${query.table}`,
      repeat: 'unsafe',
      signal: query.signal,
      send: (client) => client.from(query.table).insert(rows, { defaultToNull: false }),
    });
  }
}

/** Calls a function of the database and parses what it returned. */
export async function callFunction<T>(connection: Connection, query: CallQuery<T>): Promise<T> {
  const { data } = await connection.request<unknown>({
    what: `calling ${query.name}`,
    repeat: 'safe',
    signal: query.signal,
    send: (client) => client.rpc(query.name, query.args),
  });
  return parseRow(data, { table: `${query.name}()`, schema: query.schema });
}

function inRequests<A>(rows: readonly A[]): A[][] {
  const requests: A[][] = [];
  for (let start = 0; start < rows.length; start += ROWS_PER_REQUEST) {
    requests.push(rows.slice(start, start + ROWS_PER_REQUEST));
  }
  return requests;
}
