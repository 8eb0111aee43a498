import { describe, expect, test } from '@jest/globals';

import { float } from '../../../src/onnx/build.ts';
import { gradients } from '../../../src/training/backward.ts';
import { shapedGraph } from '../../../src/training/shaped-graph.ts';
import { worstError, type Case } from '../finite-differences.ts';

describe('LayerNormalization', () => {
  test.each<[string, Case]>([
    [
      'of the last axis',
      {
        inputs: [[2, 3, 4], [4], [4]],
        build: (g, ...n) => g.node('LayerNormalization', n, { dims: [2, 3, 4] }),
      },
    ],
    [
      'of the last two',
      {
        inputs: [
          [2, 3, 4],
          [3, 4],
          [3, 4],
        ],
        build: (g, ...n) => g.node('LayerNormalization', n, { dims: [2, 3, 4], attributes: { axis: 1 } }),
      },
    ],
    [
      'without bias',
      {
        inputs: [[2, 3, 4], [4]],
        build: (g, ...n) =>
          g.node('LayerNormalization', n, {
            dims: [2, 3, 4],
            attributes: { axis: -1, epsilon: float(0.1) },
          }),
      },
    ],
  ])('%s', async (_, example) => {
    expect(await worstError(example)).toBeLessThan(1e-5);
  });
});

describe('BatchNormalization', () => {
  test.each([[[3, 2]], [[2, 2, 3]], [[2, 2, 3, 2]]])('with frozen statistics, %j', async (dims) => {
    const error = await worstError({
      inputs: [dims, [2], [2]],
      build: (g, x, scale, bias) => {
        const statistics = [Float64Array.of(0.1, -0.2), Float64Array.of(0.5, 2)].map((list) =>
          g.constant(list),
        );
        return g.node('BatchNormalization', [x, scale, bias, ...statistics], {
          dims,
          attributes: { epsilon: float(0.01) },
        });
      },
    });
    expect(error).toBeLessThan(1e-6);
  });

  test('in training mode is refused', () => {
    const g = shapedGraph('model.onnx');
    const names = [[2, 2], [2], [2], [2], [2]].map((dims, i) => g.input(`x${String(i)}`, 'float32', dims));
    const y = g.node('BatchNormalization', names, { dims: [2, 2], attributes: { training_mode: 1 } });
    const loss = g.sum(y, undefined, false);
    expect(() => gradients(g, loss, ['x0'])).toThrow(/training mode: export the model for inference/);
  });
});

test('InstanceNormalization', async () => {
  const error = await worstError({
    inputs: [[2, 3, 5], [3], [3]],
    type: 'float32',
    step: 0.01,
    build: (g, ...names) => g.node('InstanceNormalization', names, { dims: [2, 3, 5] }),
  });
  expect(error).toBeLessThan(1e-3);
});
