import { StoreError } from '../base/errors.ts';

/** A condition on a column. `in` lists may have any length; on an embedding (`cutout_images`) use `is_null`/`not_null`. */
export type Filter =
  | { column: string; op: 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte'; value: string | number | boolean }
  | { column: string; op: 'in'; value: readonly (string | number)[] }
  | { column: string; op: 'is_null' | 'not_null' };

type InFilter = Extract<Filter, { op: 'in' }>;

/** A filter as the three parts that PostgREST reads: `column=operator.operand`. */
export interface FilterTerm {
  column: string;
  operator: string;
  operand: string;
}

/**
 * Encoded bytes that all filters of one request may take in its url. Gateways in front of PostgREST refuse request lines
 * from about 16 KB on, some from 8 KB; the rest of the url takes a few hundred.
 */
export const MAX_FILTER_BYTES = 7_500;

/** Without quotes, `null` is none; and the embedded Supabase takes the other two for booleans. */
const PLAIN_VALUE = /^(?!(?:null|true|false)$)[\w-]+$/i;

export function filterTerm(filter: Filter): FilterTerm {
  const { column } = filter;
  switch (filter.op) {
    case 'in':
      return { column, operator: 'in', operand: `(${filter.value.map(listValue).join(',')})` };
    case 'is_null':
      return { column, operator: 'is', operand: 'null' };
    case 'not_null':
      return { column, operator: 'not.is', operand: 'null' };
    default:
      return { column, operator: filter.op, operand: String(filter.value) };
  }
}

/** A value inside a list, quoted where PostgREST would otherwise read a comma, a quote or `null` in it. */
function listValue(value: string | number): string {
  if (typeof value === 'number') return String(value);
  if (PLAIN_VALUE.test(value)) return value;
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}

export interface SplitFilters {
  /** The filters of each request. What matches all filters matches those of exactly one request. */
  parts: readonly (readonly Filter[])[];
  /** Columns whose lists were cut. */
  cut: readonly string[];
}

/**
 * The same filters, several times over: `in` lists are sorted, freed of doubles and cut so that each part fits into an
 * url. Short lists stay whole and the long ones share what is left; two long ones make a part of each pair of pieces.
 * With an empty list there is no part, as nothing can match it.
 * @throws StoreError `supabase_rejected` where no cutting makes it fit
 */
export function splitLongLists(filters: readonly Filter[]): SplitFilters {
  const lists = filters.filter((filter) => filter.op === 'in').map(measured);
  const others = filters.filter((filter) => filter.op !== 'in');
  if (lists.some(({ values }) => values.length === 0)) return { parts: [], cut: [] };

  const emptied = lists.map(({ column }): InFilter => ({ column, op: 'in', value: [] }));
  let room = MAX_FILTER_BYTES - [...others, ...emptied].reduce((sum, filter) => sum + termBytes(filter), 0);
  if (room < 0) throw tooLong(filters);
  const pieces = new Map<MeasuredList, InFilter[]>();
  const bySize = lists.toSorted((a, b) => a.bytes - b.bytes);
  for (const [i, list] of bySize.entries()) {
    const share = Math.min(list.bytes, Math.floor(room / (bySize.length - i)));
    pieces.set(list, cutList(list, share));
    room -= share;
  }

  let parts: Filter[][] = [others];
  for (const list of lists) {
    const own = pieces.get(list) ?? [];
    parts = parts.flatMap((part) => own.map((piece) => [...part, piece]));
  }
  const cut = lists.filter((list) => (pieces.get(list)?.length ?? 0) > 1).map(({ column }) => column);
  return { parts, cut };
}

interface MeasuredList {
  column: string;
  /** Sorted, each once, with its encoded bytes. */
  values: { value: string | number; bytes: number }[];
  bytes: number;
}

function measured({ column, value: all }: InFilter): MeasuredList {
  const sorted = [...new Set(all)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const values = sorted.map((value) => ({ value, bytes: encodedBytes(`${listValue(value)},`) }));
  return { column, values, bytes: values.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function cutList({ column, values }: MeasuredList, maxBytes: number): InFilter[] {
  const pieces: (string | number)[][] = [];
  let bytes = Infinity;
  for (const { value, bytes: size } of values) {
    if (size > maxBytes) throw tooLong([{ column, op: 'in', value: [] }]);
    if (bytes + size > maxBytes) {
      pieces.push([]);
      bytes = 0;
    }
    pieces.at(-1)?.push(value);
    bytes += size;
  }
  return pieces.map((value) => ({ column, op: 'in', value }));
}

/** `column=operator.operand&`, as it stands in the url. */
function termBytes(filter: Filter): number {
  const { column, operator, operand } = filterTerm(filter);
  return new URLSearchParams([[column, `${operator}.${operand}`]]).toString().length + 1;
}

function encodedBytes(text: string): number {
  return new URLSearchParams([['', text]]).toString().length - 1;
}

function tooLong(filters: readonly Filter[]): StoreError {
  const columns = [...new Set(filters.map(({ column }) => column))].join(', ');
  const message = `what is asked of ${columns} is too long for an url, which holds ${String(MAX_FILTER_BYTES)} bytes of filters`;
  return new StoreError('supabase', 'supabase_rejected', message);
}
