import type { z } from 'zod';

import { StoreError } from '../base/errors.ts';

/**
 * Rows as the schema wants them.
 * @throws StoreError `supabase_bad_row`, which names table and column and never shows a value
 */
export function parseRows<T>(rows: readonly unknown[], source: { table: string; schema: z.ZodType<T> }): T[] {
  return rows.map((row) => parseRow(row, source));
}

export function parseRow<T>(row: unknown, { table, schema }: { table: string; schema: z.ZodType<T> }): T {
  const result = schema.safeParse(row);
  if (result.success) return result.data;
  const faults = result.error.issues.map(
    (issue) => `${issue.path.map(String).join('.') || 'the row'}: ${issue.message}`,
  );
  const message = `a row of ${table} is not as expected: ${faults.join('; ')}`;
  throw new StoreError('supabase', 'supabase_bad_row', message);
}
