import { describe, expect, test } from '@jest/globals';

import type { Dims } from '../../../src/training/dims.ts';
import { worstError } from '../finite-differences.ts';

interface Pool {
  x: Dims;
  y: Dims;
  attributes: Record<string, number | number[] | string>;
}

const POOLS: [string, Pool][] = [
  [
    'side by side',
    { x: [2, 2, 4, 6], y: [2, 2, 2, 3], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
  ],
  ['overlapping', { x: [1, 2, 5, 4], y: [1, 2, 3, 2], attributes: { kernel_shape: [3, 3] } }],
  [
    'padded',
    {
      x: [1, 2, 5, 6],
      y: [1, 2, 3, 3],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    },
  ],
  [
    'a rest that is left out',
    { x: [1, 1, 5, 6], y: [1, 1, 2, 2], attributes: { kernel_shape: [2, 2], strides: [2, 3] } },
  ],
  [
    'a rest that is rounded up',
    { x: [1, 1, 5, 6], y: [1, 1, 3, 3], attributes: { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 } },
  ],
  [
    'auto_pad',
    {
      x: [1, 1, 5, 4],
      y: [1, 1, 3, 2],
      attributes: { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' },
    },
  ],
  ['one axis', { x: [2, 2, 7], y: [2, 2, 3], attributes: { kernel_shape: [3], strides: [2] } }],
];

describe('MaxPool', () => {
  test.each(POOLS)('%s', async (_, { x, y, attributes }) => {
    const error = await worstError({
      inputs: [x],
      build: (g, name) => g.node('MaxPool', [name], { dims: y, attributes }),
    });
    expect(error).toBeLessThan(1e-6);
  });
});

describe('AveragePool', () => {
  const padded = POOLS.map(([name, pool]): [string, Pool] => [
    `${name}, zeros counted`,
    { ...pool, attributes: { ...pool.attributes, count_include_pad: 1 } },
  ]);
  test.each([...POOLS, ...padded])('%s', async (_, { x, y, attributes }) => {
    const error = await worstError({
      inputs: [x],
      type: 'float32',
      step: 0.5,
      build: (g, name) => g.node('AveragePool', [name], { dims: y, attributes }),
    });
    expect(error).toBeLessThan(1e-4);
  });
});
