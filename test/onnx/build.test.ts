import { expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { float, graphBuilder } from '../../src/onnx/build.ts';
import { writeModel } from '../../src/onnx/codec.ts';

test('ONNX Runtime runs what was built', async () => {
  const g = graphBuilder({ name: 'example', opset: 17 });
  const x = g.input('x', 'float32', ['batch', 4]);
  const sum = g.node('Add', [x, g.floats([-1, 0, 1, 2])]);
  const leaky = g.node('LeakyRelu', [sum], { attributes: { alpha: float(0.5) } });
  const [a = '', b = ''] = g.nodes('Split', [leaky, g.ints([1, 3])], { attributes: { axis: 1 }, outputs: 2 });
  g.output(g.node('Concat', [b, a], { attributes: { axis: 1 } }), 'float32', ['batch', 4], 'y');
  const session = await InferenceSession.create(writeModel(g.toModel()));
  const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(0, -4, 3, 4), [1, 4]) });
  await session.release();
  expect(Array.from(y?.data as Float32Array)).toEqual([-2, 4, 6, -0.5]);
});

test.each<[string, (g: ReturnType<typeof graphBuilder>) => unknown]>([
  ['a value that nothing made', (g) => g.node('Relu', ['nowhere'])],
  ['a name twice', (g) => [g.input('x', 'float32', [1]), g.input('x', 'float32', [1])]],
  ['a constant of another length', (g) => g.floats([1, 2, 3], [2, 2])],
  ['a fraction as an int', (g) => g.node('Relu', [g.floats([1])], { attributes: { alpha: 0.5 } })],
  [
    'an output that nothing made',
    (g) => {
      g.output('nowhere', 'float32', [1]);
    },
  ],
])('refuses %s', (_, build) => {
  expect(() => build(graphBuilder({ name: 'wrong' }))).toThrow(/^building an ONNX graph: /);
});

test('generated names keep away from taken ones', () => {
  const g = graphBuilder({ name: 'g', prefix: 'p/', taken: ['p/Relu_0', 'x'] });
  expect(g.node('Relu', ['x'])).not.toBe('p/Relu_0');
});
