import type { Filter } from '../supabase/database.ts';
import type { KeyRange } from './shard.ts';

export function rangeFilters(column: string, { from, before }: KeyRange = {}): Filter[] {
  const filters: Filter[] = [];
  if (from !== undefined) filters.push({ column, op: 'gte', value: from });
  if (before !== undefined) filters.push({ column, op: 'lt', value: before });
  return filters;
}
