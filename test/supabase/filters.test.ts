import { randomUUID } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { filterTerm, MAX_IN_LIST_BYTES, splitLongList, type Filter } from '../../src/supabase/filters.ts';

const encodedBytes = (text: string): number => new URLSearchParams({ a: text }).toString().length - 2;

describe('long lists', () => {
  test('are cut so that every value is asked for once and every part fits into an url', () => {
    const text = fc.oneof(fc.uuid(), fc.string({ unit: 'binary', maxLength: 60 }));
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 400 }), (values) => {
        const parts = splitLongList([{ column: 'id', op: 'in', value: values }]);
        const asked = parts.flatMap(({ list }) => list?.value ?? []);
        expect(asked).toEqual([...new Set(values)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
        for (const { filters } of parts) {
          const operand = filters.map((filter) => filterTerm(filter).operand).join('');
          expect(encodedBytes(operand)).toBeLessThanOrEqual(MAX_IN_LIST_BYTES + encodedBytes('()'));
        }
      }),
      { numRuns: 25 },
    );
  });

  test('10,000 uuids take some fifty requests', () => {
    const value = Array.from({ length: 10_000 }, () => randomUUID());
    const parts = splitLongList([{ column: 'id', op: 'in', value }]);
    expect(parts.length).toBeGreaterThan(40);
    expect(parts.length).toBeLessThan(60);
  });

  test('the other filters go with every part; the longest list is the one that is cut', () => {
    const other: Filter[] = [
      { column: 'image_type', op: 'in', value: ['real', 'augmented'] },
      { column: 'frame_count', op: 'gt', value: 0 },
    ];
    const value = Array.from({ length: 500 }, () => randomUUID());
    const parts = splitLongList([...other, { column: 'product_id', op: 'in', value }]);
    expect(parts.length).toBe(3);
    for (const { filters, list } of parts) {
      expect(filters.slice(0, 2)).toEqual(other);
      expect(filters[2]).toBe(list);
    }
  });

  test('a list that is empty matches nothing, whatever else is asked', () => {
    const empty: Filter = { column: 'a', op: 'in', value: [] };
    expect(splitLongList([{ column: 'id', op: 'in', value: ['x'] }, empty])).toEqual([]);
    expect(splitLongList([])).toEqual([{ filters: [], list: undefined }]);
  });
});
