import { z } from 'zod';

import { pathText, shapeOf } from '../base/parse-input.ts';

/** One condition on a column, as a database filter. */
export type ColumnFilter =
  | { column: string; op: 'eq' | 'gt' | 'gte' | 'lt' | 'lte'; value: string | number | boolean }
  | { column: string; op: 'in'; value: readonly (string | number)[] }
  | { column: string; op: 'is_null' | 'not_null' };

/** Longer first: `_gte` must not be read as a column that ends in `e`. */
const SUFFIXES = ['_is_null', '_not_null', '_gte', '_lte', '_gt', '_lt'] as const;
const COLUMN = /^[a-z_][a-z0-9_]*$/i;

const SCALAR = z.union([z.string(), z.number(), z.boolean()]);
const VALUE = z.union([SCALAR, z.array(z.union([z.string(), z.number()]))], {
  error: 'expected a string, a number, a boolean, or a list of strings and numbers',
});
type Value = z.infer<typeof VALUE>;

/**
 * `{column: value, or list = any of}`, where a column may carry `_gt`, `_gte`, `_lt`, `_lte`, `_is_null`, `_not_null`,
 * as it is written. A column whose own name ends so cannot be named.
 */
export const PRODUCT_CONDITIONS = z
  .record(z.string(), VALUE, { error: 'expected an object of columns and values' })
  .superRefine((conditions, context) => {
    for (const [key, value] of Object.entries(conditions)) {
      const condition = toCondition(key, value);
      if (typeof condition === 'string')
        context.addIssue({ code: 'custom', path: [key], message: condition });
    }
  })
  .meta({ propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]*$' } });

/** The same, parsed into the conditions that all must hold. */
export const PRODUCT_FILTER = PRODUCT_CONDITIONS.transform((conditions): ColumnFilter[] =>
  Object.entries(conditions)
    .map(([key, value]) => toCondition(key, value))
    .filter((condition) => typeof condition !== 'string'),
);

/** The condition, or what is wrong with it. */
function toCondition(key: string, value: Value): ColumnFilter | string {
  if (!COLUMN.test(key))
    return `${pathText([key])} is no column name; expected letters, digits and underscores`;
  const suffix = SUFFIXES.find((end) => key.endsWith(end));
  if (suffix === undefined) return equal(key, value);
  const column = key.slice(0, -suffix.length);
  if (column === '') return `expected a column's name before ${suffix}`;
  if (suffix === '_is_null' || suffix === '_not_null') {
    if (typeof value !== 'boolean') return `expected true or false, found ${shapeOf(value)}`;
    return { column, op: (suffix === '_is_null') === value ? 'is_null' : 'not_null' };
  }
  if (typeof value !== 'string' && typeof value !== 'number') {
    return `expected a string or a number to compare with, found ${shapeOf(value)}`;
  }
  return { column, op: OPERATOR[suffix], value };
}

const OPERATOR = { _gt: 'gt', _gte: 'gte', _lt: 'lt', _lte: 'lte' } as const;

function equal(column: string, value: Value): ColumnFilter | string {
  if (!Array.isArray(value)) return { column, op: 'eq', value };
  return value.length === 0
    ? 'expected at least one value, found an empty list'
    : { column, op: 'in', value };
}
