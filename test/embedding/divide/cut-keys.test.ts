import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { knowIds, knowKeys, type Cut } from '../../../src/embedding/divide/cut-keys.ts';
import type { KeySpace } from '../../../src/embedding/divide/key-space.ts';
import { evenly, numberOf, uuidOf } from '../../../src/embedding/divide/uuid-keys.ts';
import { isInRange } from '../../../src/embedding/shard.ts';

/** Keys that are asked for as those of a database, and are too many to be read. */
function manyKeys(all: readonly bigint[]): KeySpace {
  let requests = 0;
  const within = ({ from, before }: { from: bigint; before: bigint }): bigint[] =>
    all.filter((key) => key >= from && key < before);
  return {
    get requests() {
      return requests;
    },
    few: () => Promise.resolve(undefined),
    counts(ranges) {
      requests += ranges.length;
      return Promise.resolve(ranges.map((range) => within(range).length));
    },
    extent(range) {
      requests += 2;
      const keys = within(range);
      const [from, last] = [keys[0], keys.at(-1)];
      return Promise.resolve(
        from === undefined || last === undefined ? undefined : { from, before: last + 1n },
      );
    },
  };
}

const sorted = (keys: readonly bigint[]): bigint[] =>
  [...new Set(keys)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
const anyKey = fc.uuid().map(numberOf);
/** As a counter makes them, or a clock, from anywhere on. */
const run = fc
  .tuple(anyKey, fc.integer({ min: 1, max: 400 }), fc.constantFrom(1n, 7n, 1n << 40n))
  .map(([first, count, step]) => Array.from({ length: count }, (_, i) => first + BigInt(i) * step))
  .map((keys) => keys.filter((key) => key < 1n << 128n));
const anyKeys = fc
  .tuple(fc.array(anyKey, { maxLength: 400 }), fc.array(run, { maxLength: 4 }))
  .map(([spread, runs]) => sorted([...spread, ...runs.flat()]));

const countsOf = ({ bounds }: Cut, keys: readonly bigint[], parts: number): number[] =>
  Array.from({ length: parts }, (_, i) => {
    const range = { from: bounds[i - 1], before: bounds[i] };
    return keys.filter((key) => isInRange(uuidOf(key), range)).length;
  });

test('keys of any kind are cut into parts that have what they say, and about as many each', async () => {
  await fc.assert(
    fc.asyncProperty(anyKeys, fc.integer({ min: 1, max: 24 }), async (keys, parts) => {
      const space = manyKeys(keys);
      const known = await knowKeys(space);
      expect(known.count).toBe(keys.length);
      const cut = await known.cut(parts);
      expect(cut.bounds).toHaveLength(parts - 1);
      expect(cut.bounds).toEqual(cut.bounds.toSorted());
      const counts = countsOf(cut, keys, parts);
      expect(cut.counts).toEqual(counts);
      // Half a cell at each end; a cell has one key at least.
      const share = keys.length / parts;
      for (const count of counts) expect(Math.abs(count - share)).toBeLessThanOrEqual(share / 4 + 1);
    }),
    { numRuns: 100 },
  );
});

test('ids are cut exactly', async () => {
  await fc.assert(
    fc.asyncProperty(anyKeys, fc.integer({ min: 1, max: 24 }), async (keys, parts) => {
      const cut = await knowIds(keys.map(uuidOf).reverse()).cut(parts);
      const counts = countsOf(cut, keys, parts);
      expect(cut.counts).toEqual(counts);
      if (keys.length > 0) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }),
    { numRuns: 50 },
  );
});

test('where there are no keys, those that will come are cut', async () => {
  const cut = await (await knowKeys(manyKeys([]))).cut(4);
  expect(cut).toEqual({
    bounds: ['4', '8', 'c'].map((digit) => `${digit}0000000-0000-0000-0000-000000000000`),
    counts: [0, 0, 0, 0],
  });
});

test('ten million keys are not asked for one by one', async () => {
  let rows = 0;
  const spread: KeySpace = {
    get requests() {
      return rows;
    },
    few: () => Promise.resolve(undefined),
    extent: (range) => Promise.resolve(range),
    counts(ranges) {
      rows += ranges.length;
      return Promise.resolve(ranges.map(({ from, before }) => Number((before - from) >> 105n)));
    },
  };
  const known = await knowKeys(spread);
  expect(known.count).toBeGreaterThan(8_000_000);
  const { counts } = await known.cut(500);
  expect(rows).toBeLessThanOrEqual(4_100);
  expect(Math.max(...counts) / Math.min(...counts)).toBeLessThan(2);
});

test('a uuid and its number are in the same order, and one is made of the other', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.uuid(), (a, b) => {
      expect(uuidOf(numberOf(a))).toBe(a);
      expect(numberOf(a) < numberOf(b)).toBe(a < b);
    }),
  );
  expect(evenly({ from: 5n, before: 8n }, 9)).toHaveLength(3);
});
