import { describe, expect, test } from '@jest/globals';

import type { Dims } from '../../../src/training/dims.ts';
import { worstError } from '../finite-differences.ts';

const OPERATORS = ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceL2', 'ReduceSumSquare'];
const WAYS: [string, number[] | undefined, number, Dims][] = [
  ['the last axis', [-1], 1, [2, 3, 1]],
  ['the first and the last, which go', [0, 2], 0, [3]],
  ['all', undefined, 0, []],
  ['all, kept', undefined, 1, [1, 1, 1]],
];

describe.each(OPERATORS)('%s', (opType) => {
  test.each(WAYS)('%s', async (_, axes, keepdims, dims) => {
    const error = await worstError({
      inputs: [[2, 3, 4]],
      build: (g, x) =>
        g.node(opType, axes === undefined ? [x] : [x, g.ints(axes)], { dims, attributes: { keepdims } }),
    });
    expect(error).toBeLessThan(1e-6);
  });
});

test('no axes, and nothing to do', async () => {
  const error = await worstError({
    inputs: [[2, 3]],
    build: (g, x) => g.node('ReduceSum', [x], { dims: [2, 3], attributes: { noop_with_empty_axes: 1 } }),
  });
  expect(error).toBeLessThan(1e-6);
});

test('of several equal greatest elements each has its share', async () => {
  const error = await worstError({
    inputs: [[2, 3]],
    build: (g, x) => g.maximum(g.concat([x, x], 1), [1], false),
  });
  expect(error).toBeLessThan(1e-6);
});

test('GlobalAveragePool', async () => {
  const error = await worstError({
    inputs: [[2, 3, 4, 5]],
    type: 'float32',
    build: (g, x) => g.node('GlobalAveragePool', [x], { dims: [2, 3, 1, 1] }),
  });
  expect(error).toBeLessThan(1e-4);
});
