import { z } from 'zod';

import { mapConcurrent } from '../../flow/streams.ts';
import { uuid } from '../../job/fields.ts';
import type { Database, Filter } from '../../supabase/database.ts';
import type { KeyedRows } from '../products.ts';
import { numberOf, uuidOf, ALL_KEYS, type NumberRange } from './uuid-keys.ts';

/** The keys of the rows that a listing pages through, as a database tells them. */
export interface KeySpace {
  /** All keys in order; undefined where there are more than so many. */
  few(most: number): Promise<bigint[] | undefined>;
  /** How many keys each of the ranges has. */
  counts(ranges: readonly NumberRange[]): Promise<number[]>;
  /** From the lowest to the highest key of a range; undefined where it has none. */
  extent(range: NumberRange): Promise<NumberRange | undefined>;
  /** Requests so far. */
  readonly requests: number;
}

const AT_ONCE = 6;

/** @param readings Rows that share none. */
export function keySpaceOf(
  database: Database,
  readings: readonly KeyedRows[],
  signal: AbortSignal | undefined,
): KeySpace {
  let requests = 0;
  const within = ({ key, filters }: KeyedRows, { from, before }: NumberRange): Filter[] => [
    ...filters,
    ...(from > ALL_KEYS.from ? [{ column: key, op: 'gte', value: uuidOf(from) } as const] : []),
    ...(before < ALL_KEYS.before ? [{ column: key, op: 'lt', value: uuidOf(before) } as const] : []),
  ];
  const keysOf = (rows: KeyedRows) =>
    z.object({ [rows.key]: uuid() }).transform((row) => row[rows.key] ?? '');

  return {
    get requests() {
      return requests;
    },
    async few(most) {
      const keys: bigint[] = [];
      for (const rows of readings) {
        for await (const page of database.pages({ ...rows, schema: keysOf(rows), signal })) {
          requests += 1;
          keys.push(...page.map(numberOf));
          if (keys.length > most) return undefined;
        }
      }
      return keys.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    },
    async counts(ranges) {
      const count = async (range: NumberRange): Promise<number> => {
        let sum = 0;
        for (const rows of readings) {
          requests += 1;
          const { table, columns } = rows;
          sum += await database.count({ table, columns, filters: within(rows, range), signal });
        }
        return sum;
      };
      return Array.fromAsync(mapConcurrent(ranges, AT_ONCE, count, { ordered: true, signal }));
    },
    async extent(range) {
      let extent: NumberRange | undefined;
      for (const rows of readings) {
        requests += 2;
        const filters = within(rows, range);
        const ends = await database.ends({ ...rows, filters, schema: keysOf(rows), signal });
        for (const end of ends.map(numberOf)) {
          const { from, before } = extent ?? { from: end, before: end + 1n };
          extent = { from: end < from ? end : from, before: end >= before ? end + 1n : before };
        }
      }
      return extent;
    },
  };
}
