import { describe, expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { writeModel } from '../../src/onnx/codec.ts';
import { sizeOf, type Dims } from '../../src/training/dims.ts';
import { shapedGraph, type ShapedGraph } from '../../src/training/shaped-graph.ts';

type Build = (g: ShapedGraph, x: string, y: string) => string;

/** What ONNX Runtime gives for x = 0, 1, 2, ... of `[2, 3, 4]` and y = 1, 2, 3, 4, and what the graph knew of it. */
async function run(build: Build): Promise<{ known: Dims; dims: Dims; type: string; values: number[] }> {
  const g = shapedGraph('the test');
  const [x, y] = [g.input('x', 'float32', [2, 3, 4]), g.input('y', 'float32', [4])];
  const result = build(g, x, y);
  g.output(result, 'result');
  const session = await InferenceSession.create(writeModel(g.toModel()));
  const results = await session.run({
    x: new Tensor(
      'float32',
      Float32Array.from({ length: 24 }, (_, i) => i),
      [2, 3, 4],
    ),
    y: new Tensor('float32', Float32Array.of(1, 2, 3, 4), [4]),
  });
  await session.release();
  const found = results.result;
  expect(found?.type).toBe(g.type(result));
  const values = Array.from(found?.data as Float32Array, Number);
  return { known: g.dims(result), dims: found?.dims ?? [], type: g.type(result), values };
}

describe('lengths are known before anything runs', () => {
  test.each<[string, Build]>([
    ['add', (g, x, y) => g.add(x, y)],
    ['add of a number', (g, x) => g.add(1, x)],
    ['sub, broadcast both ways', (g, x, y) => g.sub(g.reshape(y, [4, 1]), y)],
    ['compare', (g, x, y) => g.compare('Greater', x, y)],
    ['where', (g, x, y) => g.where(g.compare('Less', x, 3), y, 0)],
    ['min, max, pow', (g, x, y) => g.pow(g.max(g.min(x, y), 0), 2)],
    ['cast', (g, x) => g.cast(x, 'int64')],
    ['matmul', (g, x) => g.matmul(x, g.swapLast(x))],
    ['gemm', (g, x) => g.gemm(g.reshape(x, [6, 4]), g.reshape(x, [6, 4]), { transA: true })],
    ['transpose', (g, x) => g.transpose(x, [2, 0, 1])],
    ['expand', (g, x, y) => g.expand(y, [2, 3, 4])],
    ['slice', (g, x) => g.slice(x, { axis: -1, start: 1, end: 4, step: 2 })],
    ['pad', (g, x) => g.pad(x, [0, 1, 0], [2, 0, 0])],
    ['concat', (g, x) => g.concat([x, x], 1)],
    ['split', (g, x) => g.split(x, [1, 3], 2)[1] ?? ''],
    ['gather', (g, x) => g.gather(x, g.constant(BigInt64Array.of(2n, 0n, 0n, 1n), [2, 2]), 1)],
    ['zeros', (g) => g.zeros([2, 5])],
    ['sum', (g, x) => g.sum(x, [0, -1])],
    ['sum of all', (g, x) => g.sum(x, undefined, false)],
    ['mean, axes gone', (g, x) => g.mean(x, [1], false)],
    ['maximum', (g, x) => g.maximum(x, [2])],
    ['sumTo', (g, x) => g.sumTo(x, [3, 1])],
    ['softmax', (g, x) => g.softmax(x)],
    ['logSoftmax', (g, x) => g.logSoftmax(x, 1)],
  ])('%s', async (_, build) => {
    const { known, dims, values } = await run(build);
    expect(known).toEqual(dims);
    expect(values).toHaveLength(sizeOf(known));
  });

  test('and values are what was asked for', async () => {
    expect((await run((g, x) => g.sumTo(x, [3, 1]))).values).toEqual([60, 92, 124]);
    expect(
      (await run((g, x) => g.slice(x, { axis: 2, start: 1, end: 4, step: 2 }))).values.slice(0, 4),
    ).toEqual([1, 3, 5, 7]);
    expect((await run((g, x, y) => g.sub(1, y))).values).toEqual([0, -1, -2, -3]);
  });
});

describe('what changes nothing adds no node', () => {
  test.each<[string, Build]>([
    ['reshape', (g, x) => g.reshape(x, [2, 3, 4])],
    ['expand', (g, x) => g.expand(x, [2, 3, 4])],
    ['slice', (g, x) => g.slice(x, { axis: 1, start: 0, end: 3 })],
    ['pad', (g, x) => g.pad(x, [0, 0, 0], [0, 0, 0])],
    ['transpose', (g, x) => g.transpose(x, [0, 1, 2])],
    ['concat', (g, x) => g.concat([x], 0)],
    ['sumTo', (g, x) => g.sumTo(x, [2, 3, 4])],
    ['cast', (g, x) => g.cast(x, 'float32')],
    ['sum', (g, x) => g.sum(x, [])],
  ])('%s', (_, build) => {
    const g = shapedGraph('the test');
    const x = g.input('x', 'float32', [2, 3, 4]);
    expect(build(g, x, x)).toBe(x);
    expect(g.ordered()).toEqual([]);
  });
});

test('constants are made once and only kept where they are read', () => {
  const g = shapedGraph('the test');
  const x = g.input('x', 'float32', [3]);
  expect(g.scalar(2)).toBe(g.scalar(2));
  expect(g.scalar(2)).not.toBe(g.scalar(2, 'float64'));
  expect(g.ints([1, 2])).toBe(g.ints([1, 2]));
  g.output(g.mul(x, 0.5), 'y');
  expect(g.toModel().graph.initializers.map(({ name }) => name)).toEqual(['float32:0.5']);
});

describe('mistakes are told where they are made', () => {
  const x = (g: ShapedGraph): string => g.input('x', 'float32', [2, 3]);
  test.each<[string, (g: ShapedGraph) => unknown, RegExp]>([
    [
      'lengths that do not broadcast',
      (g) => g.add(x(g), g.zeros([2])),
      /\[2, 3\] and \[2\] do not broadcast/,
    ],
    ['matrices that do not fit', (g) => g.matmul(x(g), g.zeros([2, 3])), /cannot be multiplied as matrices/],
    ['an axis that is not there', (g) => g.sum(x(g), [2]), /a tensor of 2 dimensions has no axis 2/],
    ['a name twice', (g) => [x(g), x(g)], /the name 'x' is taken/],
    ['a value of which nothing is known', (g) => g.node('Relu', ['z'], { dims: [] }), /'z'/],
    [
      'freeing what a node makes',
      (g) => {
        g.free(g.neg(x(g)));
      },
      /is no input and no initializer/,
    ],
    [
      'a value that nothing gives any more',
      (g) => {
        g.output(g.neg(x(g)));
        g.free('x');
        g.toModel();
      },
      /nothing gives 'x'/,
    ],
  ])('%s', (_, build, message) => {
    expect(() => build(shapedGraph('the test'))).toThrow(message);
  });

  test('lengths that are not known', () => {
    const g = shapedGraph('model.onnx');
    g.insert({ opType: 'NonZero', inputs: [x(g)], outputs: ['places'], attributes: [], metadata: [] }, [
      undefined,
    ]);
    expect(() => g.dims('places')).toThrow(/lengths of 'places' in model\.onnx are not known/);
    expect(g.has('places')).toBe(false);
  });
});

describe('a graph can be rebuilt', () => {
  test('a weight becomes an input, or what a node makes', async () => {
    const { values } = await run((g, x, y) => {
      const w = g.constant(Float32Array.of(1, 1, 1, 1), [4], 'w');
      const product = g.mul(x, w);
      g.free('w');
      g.node('Mul', [y, g.scalar(10)], { dims: [4], name: 'w' });
      return g.slice(g.reshape(product, [24]), { axis: 0, start: 0, end: 4 });
    });
    expect(values).toEqual([0, 20, 60, 120]);
  });

  test('readers are led to another value, except some', async () => {
    const { values } = await run((g, x, y) => {
      const before = g.neg(y);
      const reader = g.mul(before, 1);
      const after = g.add(before, 100);
      g.redirect(before, after, new Set(g.ordered().filter(({ outputs }) => outputs[0] === after)));
      return reader;
    });
    expect(values).toEqual([99, 98, 97, 96]);
  });

  test('outputs are forgotten, and nodes that no output needs go', () => {
    const g = shapedGraph('the test');
    const x = g.input('x', 'float32', [3]);
    g.output(g.exp(g.neg(x)), 'a');
    g.clearOutputs();
    g.output(g.log(x), 'b');
    g.prune();
    expect(g.ordered().map(({ opType }) => opType)).toEqual(['Log', 'Identity']);
    expect(g.outputNames()).toEqual(['b']);
    expect(g.inputNames()).toEqual(['x']);
  });
});
