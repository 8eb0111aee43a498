import { randomUUID } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { filterTerm, MAX_FILTER_BYTES, splitLongLists, type Filter } from '../../src/supabase/filters.ts';

const uuids = (count: number): string[] => Array.from({ length: count }, () => randomUUID());

/** The filters as they stand in an url. */
function queryBytes(filters: readonly Filter[]): number {
  const query = new URLSearchParams();
  for (const { column, operator, operand } of filters.map(filterTerm)) {
    query.append(column, `${operator}.${operand}`);
  }
  return query.toString().length;
}

const listOf = (filters: readonly Filter[], column: string): readonly (string | number)[] =>
  filters.flatMap((filter) => (filter.op === 'in' && filter.column === column ? filter.value : []));

describe('long lists', () => {
  test('are cut so that every pair of values is asked for once and every part fits into an url', () => {
    const text = fc.oneof(fc.uuid(), fc.string({ unit: 'binary', maxLength: 60 }));
    const list = fc.array(text, { minLength: 1, maxLength: 250 });
    fc.assert(
      fc.property(list, list, fc.string({ maxLength: 200 }), (a, b, other) => {
        const filters: Filter[] = [
          { column: 'a', op: 'in', value: a },
          { column: 'c', op: 'eq', value: other },
          { column: 'b', op: 'in', value: b },
        ];
        const { parts, cut } = splitLongLists(filters);
        const pairs = new Set<string>();
        let asked = 0;
        for (const part of parts) {
          expect(queryBytes(part)).toBeLessThanOrEqual(MAX_FILTER_BYTES);
          expect(part).toContain(filters[1]);
          for (const x of listOf(part, 'a')) {
            for (const y of listOf(part, 'b')) {
              asked += 1;
              pairs.add(JSON.stringify([x, y]));
            }
          }
        }
        expect(pairs.size).toBe(new Set(a).size * new Set(b).size);
        expect(asked).toBe(pairs.size);
        expect(cut.length > 0).toBe(parts.length > 1);
      }),
      { numRuns: 25 },
    );
  });

  test('10,000 uuids take some fifty requests', () => {
    const { parts } = splitLongLists([{ column: 'id', op: 'in', value: uuids(10_000) }]);
    expect(parts.length).toBeGreaterThan(40);
    expect(parts.length).toBeLessThan(60);
  });

  test('the other filters go with every part, and short lists stay whole', () => {
    const others: Filter[] = [
      { column: 'frame_count', op: 'gt', value: 0 },
      { column: 'image_type', op: 'in', value: ['augmented', 'real'] },
    ];
    const { parts, cut } = splitLongLists([...others, { column: 'product_id', op: 'in', value: uuids(500) }]);
    expect(parts.length).toBe(3);
    expect(cut).toEqual(['product_id']);
    for (const part of parts) expect(part.slice(0, 2)).toEqual(others);
  });

  test('two lists that are long together are both cut; one that is long beside many filters fits as well', () => {
    const two = splitLongLists([
      { column: 'id', op: 'in', value: uuids(190) },
      { column: 'product_id', op: 'in', value: uuids(190) },
    ]);
    expect(two.cut).toEqual(['id', 'product_id']);
    expect(two.parts.length).toBe(4);
    const many = Array.from({ length: 40 }, (_, i): Filter => ({
      column: `column_${i}`,
      op: 'neq',
      value: 'x'.repeat(100),
    }));
    const beside = splitLongLists([...many, { column: 'id', op: 'in', value: uuids(190) }]);
    for (const part of [...two.parts, ...beside.parts]) {
      expect(queryBytes(part)).toBeLessThanOrEqual(MAX_FILTER_BYTES);
    }
  });

  test('what no cutting makes fit is refused, by its column and not by its value', () => {
    const long = 'secret'.repeat(2_000);
    for (const filter of [
      { column: 'name', op: 'eq', value: long },
      { column: 'name', op: 'in', value: ['a', long] },
    ] as const) {
      expect(() => splitLongLists([filter])).toThrow(
        expect.objectContaining({
          code: 'supabase_rejected',
          retryable: false,
          message: expect.stringMatching(/^(?!.*secret).*name/),
        }),
      );
    }
  });

  test('a list that is empty matches nothing, whatever else is asked', () => {
    const empty: Filter = { column: 'a', op: 'in', value: [] };
    expect(splitLongLists([{ column: 'id', op: 'in', value: ['x'] }, empty]).parts).toEqual([]);
    expect(splitLongLists([])).toEqual({ parts: [[]], cut: [] });
  });
});
