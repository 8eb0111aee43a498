import { describe, expect, test } from '@jest/globals';

import type { ShapedGraph } from '../../../src/training/shaped-graph.ts';
import type { Dims } from '../../../src/training/dims.ts';
import { worstError, type Case } from '../finite-differences.ts';

async function errorOf(inputs: readonly Dims[], build: Case['build']): Promise<number> {
  return worstError({
    inputs,
    // Squared, so that the gradient depends on where an element came from.
    build: (g, ...names) => {
      const y = build(g, ...names);
      return g.mul(y, y);
    },
  });
}

describe('Slice', () => {
  interface Cut {
    starts: number[];
    ends: number[];
    axes?: number[];
    steps?: number[];
    dims: number[];
  }
  test.each<[string, Dims, Cut]>([
    ['from the front', [3, 5], { starts: [0], ends: [2], axes: [1], dims: [3, 2] }],
    ['from the middle', [3, 5], { starts: [1], ends: [4], axes: [1], dims: [3, 3] }],
    ['counted from the end', [3, 5], { starts: [-3], ends: [-1], axes: [-1], dims: [3, 2] }],
    ['begins beyond', [3, 5], { starts: [-9], ends: [2], axes: [1], dims: [3, 2] }],
    ['ends beyond', [3, 5], { starts: [-9], ends: [99], axes: [0], dims: [3, 5] }],
    ['two axes, none said', [3, 5], { starts: [1, 2], ends: [3, 4], dims: [2, 2] }],
    ['every second', [5, 2], { starts: [0], ends: [5], axes: [0], steps: [2], dims: [3, 2] }],
    [
      'every second, not reaching the end',
      [6, 2],
      { starts: [1], ends: [4], axes: [0], steps: [2], dims: [2, 2] },
    ],
    ['every third from the second', [2, 8], { starts: [1], ends: [8], axes: [1], steps: [3], dims: [2, 3] }],
    ['backwards', [4, 2], { starts: [3], ends: [-99], axes: [0], steps: [-1], dims: [4, 2] }],
    ['backwards, every second', [7, 2], { starts: [5], ends: [0], axes: [0], steps: [-2], dims: [3, 2] }],
    ['backwards from beyond', [5, 2], { starts: [99], ends: [-99], axes: [0], steps: [-3], dims: [2, 2] }],
    ['nothing', [5, 2], { starts: [3], ends: [3], axes: [0], dims: [0, 2] }],
  ])('%s', async (_, from, { starts, ends, axes, steps, dims }) => {
    const cut = (g: ShapedGraph, x: string): string => {
      const lists = [
        starts,
        ends,
        axes ?? (steps === undefined ? undefined : starts.map((__, i) => i)),
        steps,
      ];
      const inputs = lists.filter((list) => list !== undefined).map((list) => g.ints(list));
      return g.node('Slice', [x, ...inputs], { dims });
    };
    expect(await errorOf([from], cut)).toBeLessThan(1e-5);
  });
});

describe('Gather', () => {
  const take =
    (indices: readonly number[], indexDims: Dims, axis: number, dims: Dims): Case['build'] =>
    (g, x) =>
      g.node('Gather', [x, g.constant(BigInt64Array.from(indices, BigInt), indexDims)], {
        dims,
        attributes: { axis },
      });
  test.each<[string, Case['build']]>([
    ['one row', take([1], [], 0, [3, 2])],
    ['the last row, counted from the end', take([-1], [], 0, [3, 2])],
    ['one of the middle axis', take([0], [], 1, [4, 2])],
    ['a run', take([1, 2], [2], 1, [4, 2, 2])],
    ['a permutation', take([2, 0, 3, 1], [4], 0, [4, 3, 2])],
    ['some, not in order', take([2, 0], [2], 1, [4, 2, 2])],
    ['one several times', take([2, 0, 2, 2, 1], [5], 1, [4, 5, 2])],
    ['a table of them', take([0, 1, 1, 2, 3, 0], [3, 2], 0, [3, 2, 3, 2])],
  ])('%s', async (_, build) => {
    expect(await errorOf([[4, 3, 2]], build)).toBeLessThan(1e-5);
  });

  test('indices that are known only when it runs', async () => {
    const build: Case['build'] = (g, x, raw) => {
      const indices = g.cast(g.where(g.compare('Greater', raw, 0), 1, 2), 'int64');
      return g.gather(x, indices, 1);
    };
    expect(
      await errorOf([[2, 3, 2], [5]], (g, x, raw) => g.mul(build(g, x, raw), g.sum(raw, [0]))),
    ).toBeLessThan(1e-5);
  });
});

describe('ScatterND and ScatterElements', () => {
  const places = (g: ShapedGraph, values: number[], dims: Dims): string =>
    g.constant(BigInt64Array.from(values, BigInt), dims);
  test.each<[string, readonly Dims[], Case['build']]>([
    [
      'whole rows',
      [
        [4, 2],
        [2, 2],
      ],
      (g, x, rows) => g.node('ScatterND', [x, places(g, [3, 1], [2, 1]), rows], { dims: [4, 2] }),
    ],
    [
      'single elements',
      [[4, 2], [3]],
      (g, x, rows) => g.node('ScatterND', [x, places(g, [3, 1, 0, 0, 1, 1], [3, 2]), rows], { dims: [4, 2] }),
    ],
    [
      'along an axis',
      [
        [2, 4],
        [2, 2],
      ],
      (g, x, rows) =>
        g.node('ScatterElements', [x, places(g, [3, 1, 0, 2], [2, 2]), rows], {
          dims: [2, 4],
          attributes: { axis: 1 },
        }),
    ],
  ])('%s', async (_, inputs, build) => {
    expect(await errorOf(inputs, build)).toBeLessThan(1e-5);
  });
});
