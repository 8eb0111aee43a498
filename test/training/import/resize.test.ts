import { describe, expect, test } from '@jest/globals';

import { float, graphBuilder, type GraphBuilder } from '../../../src/onnx/build.ts';
import type { OnnxModel } from '../../../src/onnx/types.ts';
import { gradients } from '../../../src/training/backward.ts';
import { forwardDifference, imported, operators } from './support.ts';

/** A Resize of `[batch, 2, 4, 5]`. */
function model(
  attributes: NonNullable<Parameters<GraphBuilder['node']>[2]>['attributes'],
  size: { scales?: number[]; sizes?: number[] },
  opset = 18,
): OnnxModel {
  const g = graphBuilder({ name: 'resize', opset });
  const x = g.input('x', 'float32', ['batch', 2, 4, 5]);
  const scaled = g.node('Mul', [g.node('Tanh', [x]), g.constant(Float32Array.of(1, 2), [2, 1, 1], 'weight')]);
  const scales = size.scales === undefined ? '' : g.floats(size.scales);
  const sizes = size.sizes === undefined ? [] : [g.ints(size.sizes)];
  // In 11 the region must be there, though it is used by one mode alone.
  const region = opset === 11 ? [g.floats([])] : [''];
  const inputs = opset < 11 ? [scaled, scales] : [scaled, ...region, scales, ...sizes];
  g.output(
    g.node('Resize', inputs, attributes === undefined ? {} : { attributes }),
    'float32',
    ['batch', 2, null, null],
    'y',
  );
  return g.toModel();
}

describe('a Resize gives what it gave, and has a gradient', () => {
  test.each<[string, OnnxModel]>([
    [
      'cubic, as position embeddings are',
      model({ mode: 'cubic', cubic_coeff_a: float(-0.75) }, { sizes: [2, 2, 3, 7] }),
    ],
    ['cubic by factors', model({ mode: 'cubic' }, { scales: [1, 1, 1.7, 2.34] })],
    [
      'linear, corners aligned, one axis',
      model({ mode: 'linear', coordinate_transformation_mode: 'align_corners' }, { sizes: [2, 2, 4, 9] }),
    ],
    [
      'linear with antialias, axes named',
      model({ mode: 'linear', antialias: 1, axes: [2, 3] }, { sizes: [2, 3] }),
    ],
    ['factors of named axes', model({ mode: 'linear', axes: [3, 2] }, { scales: [2, 1.5] })],
    ['nearest', model({ mode: 'nearest' }, { scales: [1, 1, 2, 3] })],
    ['operator set 10', model({ mode: 'nearest' }, { scales: [1, 1, 1.5, 2] }, 10)],
    ['operator set 11', model({ mode: 'linear' }, { scales: [1, 1, 1.5, 2] }, 11)],
  ])('%s', async (_, file) => {
    const graph = await imported(file);
    expect(await forwardDifference(file, graph)).toBeLessThan(1e-5);
    const loss = graph.graph.sum(graph.output, undefined, false);
    expect([...gradients(graph.graph, loss, ['weight']).keys()]).toEqual(['weight']);
  });
});

test('one whose axes depend on each other is kept, and refused where it would have to be trained through', async () => {
  const graph = await imported(
    model({ mode: 'linear', keep_aspect_ratio_policy: 'not_larger', axes: [2, 3] }, { sizes: [8, 8] }),
  );
  expect(operators(graph)).toHaveProperty('Resize', 1);
  const loss = graph.graph.sum(graph.output, undefined, false);
  expect(() => gradients(graph.graph, loss, ['weight'])).toThrow(/no gradient rule for Resize/);
});
