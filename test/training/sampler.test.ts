import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { balancedWeights, batchesFrom, epochOrder } from '../../src/training/sampler.ts';

const counted = (order: Uint32Array, count: number): number[] => {
  const times = new Array<number>(count).fill(0);
  for (const row of order) times[row] = (times[row] ?? 0) + 1;
  return times;
};

test('an epoch has every row once, in another order for another epoch or seed, and in the same again', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 500 }), fc.nat(1000), fc.nat(50), (count, seed, epoch) => {
      const order = epochOrder({ count, seed, epoch });
      expect(counted(order, count).every((times) => times === 1)).toBe(true);
      expect(epochOrder({ count, seed, epoch })).toEqual(order);
    }),
  );
  const first = epochOrder({ count: 100, seed: 1, epoch: 0 });
  expect(epochOrder({ count: 100, seed: 1, epoch: 1 })).not.toEqual(first);
  expect(epochOrder({ count: 100, seed: 2, epoch: 0 })).not.toEqual(first);
});

describe('weighted', () => {
  test('a row comes as often as its share says, to one, and never where its weight is 0', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(20), { minLength: 1, maxLength: 200 }).filter((w) => w.some((x) => x > 0)),
        fc.nat(1000),
        (shares, seed) => {
          const weights = Float32Array.from(shares);
          const total = shares.reduce((a, b) => a + b, 0);
          const order = epochOrder({ count: shares.length, seed, epoch: 3, weights });
          counted(order, shares.length).forEach((times, row) => {
            const share = ((shares[row] ?? 0) / total) * shares.length;
            expect(Math.abs(times - share)).toBeLessThan(1 + 1e-6);
            if (shares[row] === 0) expect(times).toBe(0);
          });
        },
      ),
    );
  });

  test('balanced: a class of 10 comes as often as one of 90', () => {
    const labels = Array.from({ length: 100 }, (_, i) => (i < 90 ? 0 : 1));
    const order = epochOrder({ count: 100, seed: 5, epoch: 0, weights: balancedWeights(labels, 3) });
    const ofRare = Array.from(order).filter((row) => labels[row] === 1).length;
    expect(ofRare).toBeGreaterThanOrEqual(49);
    expect(ofRare).toBeLessThanOrEqual(51);
  });

  test('the order is not that of the rows', () => {
    const order = epochOrder({ count: 50, seed: 1, epoch: 0, weights: new Float32Array(50).fill(1) });
    expect([...order]).not.toEqual([...order].sort((a, b) => a - b));
  });
});

test('the rest of an epoch is what an unbroken one would have gone on with', () => {
  const order = epochOrder({ count: 23, seed: 1, epoch: 0 });
  const all = [...batchesFrom(order, 5)].map((batch) => [...batch]);
  expect(all.map((batch) => batch.length)).toEqual([5, 5, 5, 5, 3]);
  expect([...batchesFrom(order, 5, 10)].map((batch) => [...batch])).toEqual(all.slice(2));
});
