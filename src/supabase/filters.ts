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
 * Encoded bytes that one `in` list may take in an url. Gateways in front of PostgREST refuse request lines from about
 * 16 KB on, some from 8 KB; the rest of the url takes a few hundred.
 */
export const MAX_IN_LIST_BYTES = 7_500;

const PLAIN_VALUE = /^[\w-]+$/;

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
  if (PLAIN_VALUE.test(value) && value.toLowerCase() !== 'null') return value;
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}

function encodedBytes(text: string): number {
  return new URLSearchParams([['', text]]).toString().length - 1;
}

/**
 * The same filters, several times over: the longest `in` list is sorted, freed of doubles and cut so that each part
 * fits into an url. Without a long list there is one part, the filters themselves; with an empty one there is none,
 * as nothing can match it.
 */
export function splitLongList(
  filters: readonly Filter[],
): { filters: readonly Filter[]; list: InFilter | undefined }[] {
  let longest: InFilter | undefined;
  for (const filter of filters) {
    if (filter.op === 'in' && filter.value.length >= (longest?.value.length ?? 0)) longest = filter;
  }
  if (filters.some((filter) => filter.op === 'in' && filter.value.length === 0)) return [];
  if (longest === undefined) return [{ filters, list: undefined }];
  const others = filters.filter((filter) => filter !== longest);
  const { column } = longest;
  return chunkByBytes(sortedUnique(longest.value)).map((value) => {
    const list: InFilter = { column, op: 'in', value };
    return { filters: [...others, list], list };
  });
}

function sortedUnique(values: readonly (string | number)[]): (string | number)[] {
  return [...new Set(values)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function chunkByBytes(values: readonly (string | number)[]): (string | number)[][] {
  const chunks: (string | number)[][] = [];
  let bytes = Infinity;
  for (const value of values) {
    const size = encodedBytes(`${listValue(value)},`);
    if (bytes + size > MAX_IN_LIST_BYTES) {
      chunks.push([]);
      bytes = 0;
    }
    chunks.at(-1)?.push(value);
    bytes += size;
  }
  return chunks;
}
