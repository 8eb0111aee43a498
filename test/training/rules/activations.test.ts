import { describe, expect, test } from '@jest/globals';

import { float } from '../../../src/onnx/build.ts';
import { worstError, type Case } from '../finite-differences.ts';

const WIDE = [-4, 4] as const;

describe('in float64', () => {
  test.each<[string, Case]>([
    ['Relu', { inputs: [[3, 4]], build: (g, x) => g.unary('Relu', x) }],
    ['Sigmoid', { inputs: [[3, 4]], build: (g, x) => g.unary('Sigmoid', x), between: WIDE }],
    ['x·Sigmoid(x)', { inputs: [[3, 4]], build: (g, x) => g.mul(x, g.unary('Sigmoid', x)), between: WIDE }],
    ['Tanh', { inputs: [[3, 4]], build: (g, x) => g.unary('Tanh', x), between: WIDE }],
    [
      'Clip',
      {
        inputs: [[3, 4]],
        build: (g, x) =>
          g.node('Clip', [x, g.scalar(-0.5, 'float64'), g.scalar(0.25, 'float64')], { dims: [3, 4] }),
      },
    ],
    [
      'Clip with one bound',
      {
        inputs: [[3, 4]],
        build: (g, x) => g.node('Clip', [x, '', g.scalar(0.25, 'float64')], { dims: [3, 4] }),
      },
    ],
    ['Softmax', { inputs: [[2, 3, 4]], build: (g, x) => g.softmax(x), between: WIDE }],
    ['Softmax along another axis', { inputs: [[2, 3, 4]], build: (g, x) => g.softmax(x, 1), between: WIDE }],
    ['LogSoftmax', { inputs: [[2, 3, 4]], build: (g, x) => g.logSoftmax(x), between: WIDE }],
  ])('%s', async (_, example) => {
    expect(await worstError(example)).toBeLessThan(1e-6);
  });
});

describe('in float32, where ONNX Runtime has no more', () => {
  test.each<[string, Case]>([
    ['Erf', { inputs: [[3, 4]], build: (g, x) => g.unary('Erf', x) }],
    ['Softplus', { inputs: [[3, 4]], build: (g, x) => g.unary('Softplus', x) }],
    [
      'LeakyRelu',
      { inputs: [[3, 4]], build: (g, x) => g.unary('LeakyRelu', x, { alpha: float(0.1) }), step: 1e-3 },
    ],
    ['Gelu', { inputs: [[3, 4]], build: (g, x) => g.unary('Gelu', x), between: WIDE }],
    [
      'Gelu by tanh',
      { inputs: [[3, 4]], build: (g, x) => g.unary('Gelu', x, { approximate: 'tanh' }), between: WIDE },
    ],
    // Over both ends of the slope, which values nearer to than a step would spoil.
    ['HardSigmoid', { inputs: [[3, 4]], build: (g, x) => g.unary('HardSigmoid', x), between: WIDE }],
    ['HardSwish', { inputs: [[3, 4]], build: (g, x) => g.unary('HardSwish', x), between: WIDE }],
  ])('%s', async (_, example) => {
    expect(await worstError({ step: 0.01, ...example, type: 'float32' })).toBeLessThan(1e-3);
  });
});
