import { describe, expect, test } from '@jest/globals';

import type { Target } from '../../../src/training/convolution/target.ts';
import type { Dims } from '../../../src/training/dims.ts';
import { worstError } from '../finite-differences.ts';

interface Shape {
  x: Dims;
  weight: Dims;
  y: Dims;
  attributes?: Record<string, number | number[] | string>;
}

/** Linear in each input, so that wide steps are exact. */
async function errorOf(
  opType: 'Conv' | 'ConvTranspose',
  { x, weight, y, attributes = {} }: Shape,
  target: Target = 'any',
) {
  return worstError({
    target,
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
    [
      'large, where a CPU convolves instead of scattering',
      {
        x: [1, 2, 30, 29],
        weight: [2, 2, 3, 2],
        y: [1, 2, 28, 28],
        attributes: { dilations: [2, 1], pads: [1, 0, 1, 0] },
      },
    ],
    [
      'large, in groups, padded on one side',
      {
        x: [1, 4, 27, 29],
        weight: [2, 2, 3, 3],
        y: [1, 2, 28, 28],
        attributes: { group: 2, pads: [2, 1, 1, 0] },
      },
    ],
    [
      'depthwise, large kernel',
      {
        x: [2, 3, 6, 5],
        weight: [3, 1, 5, 4],
        y: [2, 3, 6, 4],
        attributes: { group: 3, pads: [2, 1, 2, 1] },
      },
    ],
    [
      'depthwise, with strides that leave a rest, and dilations',
      {
        x: [2, 2, 8, 9],
        weight: [2, 1, 2, 3],
        y: [2, 2, 4, 3],
        attributes: { group: 2, pads: [1, 0, 0, 1], strides: [2, 2], dilations: [2, 2] },
      },
    ],
    // Many channels and few places: all images in one product.
    ['many channels', { x: [2, 8, 3, 4], weight: [6, 8, 3, 3], y: [2, 6, 1, 2] }],
    [
      'many channels in groups',
      { x: [2, 8, 3, 4], weight: [8, 4, 3, 3], y: [2, 8, 1, 2], attributes: { group: 2 } },
    ],
    [
      'many channels, patches',
      { x: [2, 6, 2, 4], weight: [8, 6, 2, 2], y: [2, 8, 1, 2], attributes: { strides: [2, 2] } },
    ],
    [
      'many channels, patches in groups',
      { x: [2, 8, 2, 4], weight: [8, 4, 2, 2], y: [2, 8, 1, 2], attributes: { strides: [2, 2], group: 2 } },
    ],
    ['many channels, 1 × 1', { x: [3, 8, 1, 2], weight: [6, 8, 1, 1], y: [3, 6, 1, 2] }],
    [
      'patches in groups',
      { x: [2, 4, 4, 6], weight: [4, 2, 2, 2], y: [2, 4, 2, 3], attributes: { strides: [2, 2], group: 2 } },
    ],
    ['three axes', { x: [1, 2, 3, 4, 3], weight: [2, 2, 2, 2, 2], y: [1, 2, 2, 3, 2] }],
  ])('%s', async (_, shape) => {
    expect(await errorOf('Conv', shape, 'any')).toBeLessThan(1e-4);
    expect(await errorOf('Conv', shape, 'cpu')).toBeLessThan(1e-4);
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
