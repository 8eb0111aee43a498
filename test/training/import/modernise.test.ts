import { expect, test } from '@jest/globals';

import { float, graphBuilder, type GraphBuilder } from '../../../src/onnx/build.ts';
import type { OnnxModel } from '../../../src/onnx/types.ts';
import { gradients } from '../../../src/training/backward.ts';
import { forwardDifference, imported, operators } from './support.ts';

const DIMS = [2, 3, 4];

/** A file as an exporter wrote it for that operator set; a weight in front, so that nothing is folded. */
function model(opset: number, build: (g: GraphBuilder, x: string) => string): OnnxModel {
  const g = graphBuilder({ name: 'old', opset });
  const x = g.input('x', 'float32', ['batch', 3, 4]);
  const weight = g.constant(Float32Array.of(1, -0.5, 2, 0.25), [4], 'weight');
  g.output(build(g, g.node('Mul', [g.node('Tanh', [x]), weight])), 'float32', [], 'y');
  return g.toModel();
}

const node =
  (opType: string, attributes: Parameters<GraphBuilder['node']>[2]) => (g: GraphBuilder, x: string) =>
    g.node(opType, [x], attributes);

test.each<[string, number, (g: GraphBuilder, x: string) => string]>([
  ['ReduceMean, axes as an attribute', 17, node('ReduceMean', { attributes: { axes: [1], keepdims: 0 } })],
  ['ReduceMean, axes as an input', 18, (g, x) => g.node('ReduceMean', [x, g.ints([1])])],
  ['ReduceMax, axes as an attribute', 13, node('ReduceMax', { attributes: { axes: [-1] } })],
  ['ReduceSum, axes as an attribute', 12, node('ReduceSum', { attributes: { axes: [2], keepdims: 1 } })],
  ['ReduceL2, all axes', 13, node('ReduceL2', { attributes: { keepdims: 0 } })],
  [
    'Unsqueeze and Squeeze, axes as an attribute',
    12,
    (g, x) =>
      g.node('Squeeze', [g.node('Unsqueeze', [x], { attributes: { axes: [1] } })], {
        attributes: { axes: [1] },
      }),
  ],
  [
    'Split, lengths as an attribute',
    12,
    (g, x) => g.nodes('Split', [x], { outputs: 2, attributes: { axis: 2, split: [1, 3] } })[1] ?? '',
  ],
  [
    'Split in equal parts',
    13,
    (g, x) => g.nodes('Split', [x], { outputs: 2, attributes: { axis: 2 } })[1] ?? '',
  ],
  [
    'Split in a number of parts, the last one smaller',
    18,
    (g, x) => g.nodes('Split', [x], { outputs: 2, attributes: { axis: 1, num_outputs: 2 } })[1] ?? '',
  ],
  ['Softmax over all axes from the second on', 11, node('Softmax', {})],
  ['Softmax over the last two', 12, node('Softmax', { attributes: { axis: -2 } })],
  ['Softmax over the last, as ever', 12, node('Softmax', { attributes: { axis: 2 } })],
  ['LogSoftmax over all axes from the second on', 12, node('LogSoftmax', { attributes: { axis: 1 } })],
  ['Softmax over one axis', 13, node('Softmax', { attributes: { axis: 1 } })],
  ['Clip, bounds as attributes', 10, node('Clip', { attributes: { min: float(-0.2), max: float(0.3) } })],
  ['Clip with one bound', 10, node('Clip', { attributes: { min: float(0) } })],
  [
    'Pad, lengths as an attribute',
    10,
    node('Pad', { attributes: { pads: [0, 1, 0, 0, 0, 2], value: float(0.5) } }),
  ],
  ['Slice, indices as attributes', 9, node('Slice', { attributes: { starts: [1], ends: [3], axes: [2] } })],
  ['Slice, axes not said', 9, node('Slice', { attributes: { starts: [0, 1], ends: [2, 3] } })],
  ['Dropout', 11, node('Dropout', { attributes: { ratio: float(0.5) } })],
  ['Dropout with a ratio as an input', 13, (g, x) => g.node('Dropout', [x, g.floats([0.5], [])])],
  [
    'ReduceMean and Split',
    22,
    (g, x) =>
      g.node('ReduceMean', [
        g.nodes('Split', [x], { outputs: 2, attributes: { axis: 2, num_outputs: 2 } })[0] ?? '',
        g.ints([1]),
      ]),
  ],
  ['HardSwish', 23, node('HardSwish', {})],
  ['HardSigmoid', 14, node('HardSigmoid', {})],
  ['HardSwish', 14, node('HardSwish', {})],
])('%s, operator set %i', async (_, opset, build) => {
  const file = model(opset, build);
  const graph = await imported(file);
  expect(graph.graph.dims('x')).toEqual(DIMS);
  expect(await forwardDifference(file, graph)).toBeLessThan(1e-6);
  const loss = graph.graph.sum(graph.output, undefined, false);
  expect([...gradients(graph.graph, loss, ['weight']).keys()]).toEqual(['weight']);
});

test('nothing is left of a Dropout', async () => {
  expect(operators(await imported(model(11, node('Dropout', {}))))).not.toHaveProperty('Dropout');
});
