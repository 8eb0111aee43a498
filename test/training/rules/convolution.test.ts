import { describe, expect, test } from '@jest/globals';

import type { Dims } from '../../../src/training/dims.ts';
import { worstError } from '../finite-differences.ts';

interface Shape {
  x: Dims;
  weight: Dims;
  y: Dims;
  attributes?: Record<string, number | number[] | string>;
}

/** Linear in each input, so that wide steps are exact. */
async function errorOf(opType: 'Conv' | 'ConvTranspose', { x, weight, y, attributes = {} }: Shape) {
  return worstError({
    inputs: [x, weight, [y[1] ?? 1]],
    type: 'float32',
    step: 0.5,
    build: (g, ...names) => g.node(opType, names, { dims: y, attributes }),
  });
}

describe('Conv', () => {
  test.each<[string, Shape]>([
    ['3 × 3', { x: [2, 2, 5, 4], weight: [3, 2, 3, 3], y: [2, 3, 3, 2] }],
    [
      'padded',
      { x: [2, 2, 4, 4], weight: [3, 2, 3, 3], y: [2, 3, 4, 4], attributes: { pads: [1, 1, 1, 1] } },
    ],
    [
      'padded on one side',
      { x: [1, 2, 4, 5], weight: [2, 2, 3, 2], y: [1, 2, 3, 6], attributes: { pads: [0, 2, 1, 0] } },
    ],
    [
      'strides',
      {
        x: [2, 2, 7, 6],
        weight: [3, 2, 3, 3],
        y: [2, 3, 3, 2],
        attributes: { strides: [2, 2], pads: [0, 0, 0, 0] },
      },
    ],
    [
      'strides that leave a rest',
      {
        x: [1, 2, 8, 7],
        weight: [2, 2, 3, 3],
        y: [1, 2, 4, 3],
        attributes: { strides: [2, 3], pads: [1, 1, 1, 1] },
      },
    ],
    [
      'dilations',
      { x: [1, 2, 6, 7], weight: [2, 2, 3, 2], y: [1, 2, 2, 4], attributes: { dilations: [2, 3] } },
    ],
    ['groups', { x: [2, 4, 4, 4], weight: [6, 2, 3, 3], y: [2, 6, 2, 2], attributes: { group: 2 } }],
    [
      'depthwise',
      {
        x: [2, 3, 5, 5],
        weight: [3, 1, 3, 3],
        y: [2, 3, 5, 5],
        attributes: { group: 3, pads: [1, 1, 1, 1] },
      },
    ],
    [
      'depthwise with strides',
      {
        x: [2, 3, 5, 6],
        weight: [3, 1, 3, 3],
        y: [2, 3, 3, 3],
        attributes: { group: 3, pads: [1, 1, 1, 1], strides: [2, 2] },
      },
    ],
    [
      'depthwise, two for each channel',
      { x: [1, 2, 4, 4], weight: [4, 1, 3, 3], y: [1, 4, 2, 2], attributes: { group: 2 } },
    ],
    ['1 × 1', { x: [2, 3, 4, 3], weight: [5, 3, 1, 1], y: [2, 5, 4, 3] }],
    [
      '1 × 1 with strides',
      { x: [2, 3, 5, 4], weight: [4, 3, 1, 1], y: [2, 4, 3, 2], attributes: { strides: [2, 2] } },
    ],
    ['1 × 1 in groups', { x: [2, 4, 3, 3], weight: [4, 2, 1, 1], y: [2, 4, 3, 3], attributes: { group: 2 } }],
    ['patches', { x: [2, 3, 4, 6], weight: [4, 3, 2, 2], y: [2, 4, 2, 3], attributes: { strides: [2, 2] } }],
    [
      'patches with a rest',
      { x: [2, 3, 5, 6], weight: [4, 3, 2, 2], y: [2, 4, 2, 3], attributes: { strides: [2, 2] } },
    ],
    [
      'auto_pad SAME_UPPER',
      {
        x: [1, 2, 5, 4],
        weight: [2, 2, 3, 2],
        y: [1, 2, 3, 2],
        attributes: { strides: [2, 2], auto_pad: 'SAME_UPPER' },
      },
    ],
    [
      'auto_pad SAME_LOWER',
      {
        x: [1, 2, 4, 5],
        weight: [2, 2, 3, 2],
        y: [1, 2, 2, 3],
        attributes: { strides: [2, 2], auto_pad: 'SAME_LOWER' },
      },
    ],
    [
      'auto_pad VALID',
      { x: [1, 2, 5, 4], weight: [2, 2, 3, 2], y: [1, 2, 3, 3], attributes: { auto_pad: 'VALID' } },
    ],
    [
      'one axis',
      { x: [2, 2, 7], weight: [3, 2, 3], y: [2, 3, 4], attributes: { strides: [2], pads: [1, 1] } },
    ],
    ['three axes', { x: [1, 2, 3, 4, 3], weight: [2, 2, 2, 2, 2], y: [1, 2, 2, 3, 2] }],
  ])('%s', async (_, shape) => {
    expect(await errorOf('Conv', shape)).toBeLessThan(1e-4);
  });
});

describe('ConvTranspose', () => {
  test.each<[string, Shape]>([
    [
      '2 × 2 by 2',
      { x: [2, 3, 3, 2], weight: [3, 2, 2, 2], y: [2, 2, 6, 4], attributes: { strides: [2, 2] } },
    ],
    [
      'padded, with a rest',
      {
        x: [1, 2, 3, 3],
        weight: [2, 2, 3, 3],
        y: [1, 2, 6, 6],
        attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
      },
    ],
    ['groups', { x: [1, 4, 3, 3], weight: [4, 1, 2, 2], y: [1, 2, 4, 4], attributes: { group: 2 } }],
  ])('%s', async (_, shape) => {
    expect(await errorOf('ConvTranspose', shape)).toBeLessThan(1e-4);
  });
});
