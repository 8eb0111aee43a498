import type { Connection } from './connection.ts';
import { filterTerm } from './filters.ts';
import type { ReadQuery } from './pages.ts';
import { parseRows } from './rows.ts';

/** A place in a list from the newest row on. */
export interface RowPlace {
  created_at: string;
  id: string;
}

export interface NewestQuery<T> extends ReadQuery<T> {
  /** With the columns `created_at` and `id`. */
  table: string;
  limit: number;
  /** Only rows behind this one. */
  after?: RowPlace | undefined;
}

/** Rows from the newest on; those of one moment by id, so that none is missed or doubled from one list to the next. */
export async function newestRows<T>(connection: Connection, query: NewestQuery<T>): Promise<T[]> {
  const { table, columns, filters = [], limit, after, signal } = query;
  const { data } = await connection.request<unknown[]>({
    what: `reading the newest ${table}`,
    repeat: 'safe',
    signal,
    send: (client) => {
      let request = client.from(table).select(columns);
      for (const { column, operator, operand } of filters.map(filterTerm)) {
        request = request.filter(column, operator, operand);
      }
      if (after !== undefined) {
        const { created_at: at, id } = after;
        request = request.or(`created_at.lt."${at}",and(created_at.eq."${at}",id.lt.${id})`);
      }
      return request.order('created_at', { ascending: false }).order('id', { ascending: false }).limit(limit);
    },
  });
  return parseRows(data ?? [], query);
}
