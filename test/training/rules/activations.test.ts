import { describe, expect, test } from '@jest/globals';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { float } from '../../../src/onnx/build.ts';
import { writeModel } from '../../../src/onnx/codec.ts';
import { gradients } from '../../../src/training/backward.ts';
import { shapedGraph } from '../../../src/training/shaped-graph.ts';
import { worstError, type Case } from '../finite-differences.ts';

const WIDE = [-4, 4] as const;

describe('in float64', () => {
  test.each<[string, Case]>([
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
    ['Relu', { inputs: [[3, 4]], build: (g, x) => g.unary('Relu', x), step: 1e-3 }],
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
    // Over both ends of the slope; a value nearer to one than the step would spoil it.
    ['HardSigmoid', { inputs: [[3, 4]], build: (g, x) => g.unary('HardSigmoid', x), between: WIDE }],
    ['HardSwish', { inputs: [[3, 4]], build: (g, x) => g.unary('HardSwish', x), between: WIDE }],
  ])('%s', async (_, example) => {
    expect(await worstError({ step: 0.01, ...example, type: 'float32' })).toBeLessThan(1e-3);
  });
});

test('Relu lets the smallest normal number through, and nothing of zero or below', async () => {
  const g = shapedGraph('the test');
  const x = g.input('x', 'float32', [5]);
  const loss = g.sum(g.unary('Relu', x), undefined, false);
  g.output(gradients(g, loss, [x]).get(x) ?? '', 'dx');
  const session = await InferenceSession.create(writeModel(g.toModel()));
  const values = Float32Array.of(1.2e-38, 3e38, 0, -1.2e-38, -3e38);
  const { dx } = await session.run({ x: new Tensor('float32', values, [5]) });
  await session.release();
  expect(Array.from(dx?.data as Float32Array)).toEqual([1, 1, 0, 0, 0]);
});
