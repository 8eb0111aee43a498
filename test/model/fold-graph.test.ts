import { expect, test } from '@jest/globals';

import { foldGraph } from '../../src/model/fold-graph.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { readModel, writeModel } from '../../src/onnx/codec.ts';

test('shape arithmetic is computed, and lengths are inferred of every value that is left', async () => {
  const g = graphBuilder({ name: 'g' });
  const [x, w] = [g.input('x', 'float32', [2, 3, 4]), g.input('w', 'float32', [12, 5])];
  const rows = g.node('Gather', [g.node('Shape', [x]), g.ints([0], [1])]);
  const shape = g.node('Concat', [rows, g.ints([-1])], { attributes: { axis: 0 } });
  const flat = g.node('Reshape', [x, shape], { name: 'flat' });
  const biased = g.node('Add', [g.node('MatMul', [flat, w], { name: 'product' }), g.floats([1], [])], {
    name: 'y',
  });
  g.output(biased, 'float32', [2, 5]);
  const folded = await foldGraph(Uint8Array.from(writeModel(g.toModel())));
  // Nothing is merged: a MatMul and an Add stay what they are.
  expect(readModel(folded.model).graph.nodes.map(({ opType }) => opType)).toEqual([
    'Reshape',
    'MatMul',
    'Add',
  ]);
  expect(folded.values).toEqual([
    { name: 'flat', type: 'float32', dims: [2, 12] },
    { name: 'product', type: 'float32', dims: [2, 5] },
    { name: 'y', type: 'float32', dims: [2, 5] },
  ]);
});

test('lengths that are not known are null', async () => {
  const g = graphBuilder({ name: 'g' });
  const x = g.input('x', 'float32', [2, 3]);
  g.output(g.node('NonZero', [x], { name: 'places' }), 'int64', [2, null]);
  const { values } = await foldGraph(Uint8Array.from(writeModel(g.toModel())));
  expect(values).toEqual([{ name: 'places', type: 'int64', dims: [2, null] }]);
});

test('what is no model is refused', async () => {
  await expect(foldGraph(Uint8Array.of(1, 2, 3))).rejects.toMatchObject({
    code: 'model_load_failed',
    message: expect.stringMatching(/^ONNX Runtime could not read the model: /),
  });
});
