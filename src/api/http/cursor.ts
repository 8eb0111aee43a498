import { z } from 'zod';

import { InputError } from '../../base/errors.ts';

/** Places in lists, as clients hand them back: text that means nothing to them. */
export function encodeCursor(place: object): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** @throws InputError for what no list has handed out. */
export function decodeCursor<T>(schema: z.ZodType<T>, cursor: string | undefined): T | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch {
    throw new InputError([{ key: 'cursor', message: 'expected the next_cursor of an earlier list' }]);
  }
}

/** Behind a row of a list from the newest on. It goes into a filter, so nothing else can stand in it. */
export const ROW_PLACE = z.object({
  created_at: z.string().regex(/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d(?::?\d\d)?)?$/),
  id: z.guid(),
});

/** Behind a row of a list by ascending number. */
export const NUMBER_PLACE = z.object({ id: z.int().nonnegative() });

export const cursorParam = () =>
  z.string().min(1).max(500).optional().describe('The next_cursor of an earlier list.');

export const limitParam = (most: number, fallback: number) =>
  z.coerce
    .number({ error: `expected a whole number from 1 to ${most}` })
    .int({ error: `expected a whole number from 1 to ${most}` })
    .min(1, { error: `expected a whole number from 1 to ${most}` })
    .max(most, { error: `expected a whole number from 1 to ${most}` })
    .default(fallback)
    .describe(`How many at most, up to ${most}.`);
