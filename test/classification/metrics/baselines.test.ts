import { describe, expect, test } from '@jest/globals';

import { StoppedError } from '../../../src/base/errors.ts';
import { everySoMany, measureBaselines } from '../../../src/classification/metrics/baselines.ts';
import { nearestNeighbours } from '../../../src/classification/metrics/nearest.ts';
import { ridgeClasses, solve } from '../../../src/classification/metrics/ridge.ts';
import { createRandom } from '../../../src/classification/random.ts';
import { NEVER } from '../support.ts';

/** Clouds around directions of their own. */
function clouds(perClass: number, classes: number, length: number, spread: number, seed: string) {
  const random = createRandom(seed);
  const centres = Array.from({ length: classes }, (_, c) =>
    Array.from({ length }, (_, i) => (i === c ? 1 : 0)),
  );
  const labels = Array.from({ length: perClass * classes }, (_, i) => i % classes);
  const features = Float32Array.from(
    labels.flatMap((c) => (centres[c] ?? []).map((x) => x + spread * random.normal())),
  );
  return { features, labels };
}

const share = (a: readonly number[], b: readonly number[]): number =>
  a.filter((x, i) => x === b[i]).length / a.length;

describe('nearest neighbours', () => {
  test('by hand: the vote of near ones outweighs that of many far ones', () => {
    const train = {
      features: Float32Array.of(1, 0, 0.99, 0.1, 0, 1, 0, 2, 0, 3, 0.1, 1),
      labels: [0, 0, 1, 1, 1, 1],
    };
    const options = { train, length: 2, classes: 2 };
    expect(nearestNeighbours({ ...options, queries: Float32Array.of(5, 0.1, 0.1, 5) })).toEqual([0, 1]);
  });

  test('only the twenty nearest vote', () => {
    const labels = [...new Array<number>(20).fill(0), ...new Array<number>(500).fill(1)];
    const features = Float32Array.from(labels.flatMap((label) => (label === 0 ? [1, 0.05] : [1, 0.1])));
    expect(
      nearestNeighbours({
        train: { features, labels },
        queries: Float32Array.of(1, 0),
        length: 2,
        classes: 2,
      }),
    ).toEqual([0]);
  });

  test('length does not matter, and clouds are told apart', () => {
    const train = clouds(30, 4, 16, 0.2, 'train');
    const test = clouds(20, 4, 16, 0.2, 'test');
    const queries = test.features.map((x) => x * 100);
    expect(share(nearestNeighbours({ train, queries, length: 16, classes: 4 }), test.labels)).toBeGreaterThan(
      0.9,
    );
  });
});

describe('ridge regression', () => {
  test('solves by Cholesky: by hand', () => {
    const [a, b] = [Float64Array.of(4, 2, 2, 3), Float64Array.of(10, 2, 9, 1)];
    solve(a, b, { size: 2, columns: 2 });
    expect([...b].map((x) => x.toFixed(6))).toEqual(['1.500000', '0.500000', '2.000000', '0.000000']);
    expect(a[0]).toBe(2);
  });

  test('refuses a matrix that is not positive definite', () => {
    expect(() => solve(Float64Array.of(1, 2, 2, 1), Float64Array.of(1, 1), { size: 2, columns: 1 })).toThrow(
      /positive definite/,
    );
  });

  test('tells clouds apart, with more rows than features and with fewer', () => {
    const test = clouds(25, 4, 16, 0.15, 'test');
    for (const perClass of [40, 3]) {
      const train = clouds(perClass, 4, 16, 0.15, 'train');
      const found = ridgeClasses({ train, queries: test.features, length: 16, classes: 4 });
      expect(share(found, test.labels)).toBeGreaterThan(perClass === 40 ? 0.95 : 0.75);
    }
  });

  test('both ways of solving agree where both can', () => {
    // 16 rows of 16 features are solved by features; the same with a feature of nothing but zeros, by rows.
    const train = clouds(4, 4, 16, 0.3, 'both');
    const wider = {
      ...train,
      features: Float32Array.from({ length: 16 * 17 }, (_, i) =>
        i % 17 === 16 ? 0 : (train.features[Math.floor(i / 17) * 16 + (i % 17)] ?? 0),
      ),
    };
    const queries = clouds(25, 4, 16, 0.5, 'queries').features;
    const widerQueries = Float32Array.from({ length: 100 * 17 }, (_, i) =>
      i % 17 === 16 ? 0 : (queries[Math.floor(i / 17) * 16 + (i % 17)] ?? 0),
    );
    expect(ridgeClasses({ train: wider, queries: widerQueries, length: 17, classes: 4 })).toEqual(
      ridgeClasses({ train, queries, length: 16, classes: 4 }),
    );
  });
});

describe('both, measured in a thread', () => {
  test('are percentages of the validation images', async () => {
    const set = {
      train: clouds(30, 4, 16, 0.2, 'train'),
      val: clouds(20, 4, 16, 0.2, 'val'),
      length: 16,
      classes: 4,
    };
    const baselines = await measureBaselines({ ...set, signal: NEVER });
    const expected = nearestNeighbours({
      train: set.train,
      queries: set.val.features,
      length: 16,
      classes: 4,
    });
    expect(baselines).toMatchObject({
      knn_acc: 100 * share(expected, set.val.labels),
      train_images: 120,
      val_images: 80,
    });
    expect(baselines.ridge_acc).toBeGreaterThan(80);
  });

  test('stop with the signal', async () => {
    const reason = new StoppedError('cancelled', 'by the test');
    const set = clouds(500, 4, 64, 0.2, 'long');
    await expect(
      measureBaselines({ train: set, val: set, length: 64, classes: 4, signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
  });

  test('take a part of a large set, evenly', () => {
    const set = {
      features: Float32Array.from({ length: 20 }, (_, i) => i),
      labels: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    };
    expect(everySoMany(set, 2, 5)).toEqual({
      features: Float32Array.of(0, 1, 4, 5, 8, 9, 12, 13, 16, 17),
      labels: [0, 2, 4, 6, 8],
    });
    expect(everySoMany(set, 2, 10)).toBe(set);
  });
});
