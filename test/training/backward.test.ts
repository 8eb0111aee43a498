import { describe, expect, test } from '@jest/globals';

import { gradients, influencing } from '../../src/training/backward.ts';
import { shapedGraph, type ShapedGraph } from '../../src/training/shaped-graph.ts';
import { worstError } from './finite-differences.ts';

const kinds = (g: ShapedGraph, from = 0): string[] =>
  g
    .ordered()
    .slice(from)
    .map(({ opType }) => opType);

describe('only what is needed is appended', () => {
  test('nothing for a weight that is not asked for', () => {
    const g = shapedGraph('model.onnx');
    const x = g.input('x', 'float32', [2, 3]);
    const [first, second] = ['a', 'b'].map((name) => g.input(name, 'float32', [3, 3]));
    const loss = g.sum(g.matmul(g.unary('Tanh', g.matmul(x, first ?? '')), second ?? ''), undefined, false);
    const before = g.ordered().length;
    gradients(g, loss, ['b']);
    // One product, and what spreads the loss' own gradient over the sum.
    expect(kinds(g, before).filter((kind) => kind === 'MatMul' || kind === 'Gemm')).toHaveLength(1);
    expect(kinds(g, before)).not.toContain('Mul');
  });

  test('parts that fill an axis are joined, others padded', () => {
    const build = (starts: readonly number[]): string[] => {
      const g = shapedGraph('model.onnx');
      const x = g.input('x', 'float32', [2, 6]);
      const parts = starts.map((start) =>
        g.sum(g.slice(x, { axis: 1, start, end: start + 2 }), undefined, false),
      );
      const loss = parts.reduce((a, b) => g.add(a, b));
      gradients(g, loss, ['x']);
      return kinds(g);
    };
    expect(build([4, 0, 2])).toContain('Concat');
    expect(build([4, 0, 2])).not.toContain('Pad');
    expect(build([0, 4]).filter((kind) => kind === 'Pad')).toHaveLength(2);
    expect(build([0, 1, 4])).not.toContain('Concat');
  });
});

describe('contributions of several readers are added', () => {
  test('of a value that is read thrice', async () => {
    const error = await worstError({
      inputs: [[3, 4]],
      build: (g, x) => g.mul(g.add(x, g.unary('Tanh', x)), g.transpose(g.reshape(x, [4, 3]), [1, 0])),
    });
    expect(error).toBeLessThan(1e-6);
  });

  test('of slices that overlap, that fill, and of the whole', async () => {
    const error = await worstError({
      inputs: [[2, 6]],
      build: (g, x) => {
        const cut = (start: number, end: number): string => g.slice(x, { axis: 1, start, end });
        return g.mul(g.concat([cut(0, 3), cut(3, 6)], 1), g.concat([cut(2, 5), cut(1, 4)], 1));
      },
    });
    expect(error).toBeLessThan(1e-6);
  });

  test('of slices of different axes', async () => {
    const error = await worstError({
      inputs: [[2, 2]],
      build: (g, x) => {
        const row = g.slice(x, { axis: 0, start: 0, end: 1 });
        const column = g.slice(x, { axis: 1, start: 1, end: 2 });
        return g.mul(row, column);
      },
    });
    expect(error).toBeLessThan(1e-6);
  });

  test('of a gate that others read too', async () => {
    const error = await worstError({
      inputs: [[2, 3]],
      build: (g, x) => {
        const gate = g.unary('Sigmoid', x);
        return g.add(g.mul(gate, x), g.mul(gate, gate));
      },
    });
    expect(error).toBeLessThan(1e-6);
  });
});

describe('told by name', () => {
  test('operators without a rule, all of them, before anything is appended', () => {
    const g = shapedGraph('model.onnx');
    const x = g.input('x', 'float32', [3]);
    const first = g.node('Round', [x], { dims: [3], name: 'rounded' });
    const loss = g.sum(
      g.node('Det', [g.expand(first, [3, 3])], { dims: [], name: 'volume' }),
      undefined,
      false,
    );
    const before = g.ordered().length;
    expect(() => gradients(g, loss, ['x'])).toThrow(
      expect.objectContaining({
        code: 'operator_not_trainable',
        message: expect.stringMatching(
          /^model\.onnx cannot be trained: .*Round \('rounded'\), Det \('volume'\)/,
        ),
      }),
    );
    expect(g.ordered()).toHaveLength(before);
  });

  test("a vendor's operator of a name that has a rule", () => {
    const g = shapedGraph('model.onnx');
    g.input('x', 'float32', [3]);
    const node = { opType: 'Gelu', domain: 'com.microsoft', name: 'act', inputs: ['x'], outputs: ['y'] };
    g.insert({ ...node, attributes: [], metadata: [] }, [{ type: 'float32', dims: [3] }]);
    expect(() => gradients(g, g.sum('y', undefined, false), ['x'])).toThrow(/com\.microsoft\.Gelu \('act'\)/);
  });

  test('but not those that lie off the way', () => {
    const g = shapedGraph('model.onnx');
    const [x, w] = [g.input('x', 'float32', [3]), g.input('w', 'float32', [3])];
    const y = g.mul(g.node('Round', [x], { dims: [3] }), w);
    expect([...gradients(g, g.sum(y, undefined, false), ['w']).keys()]).toEqual(['w']);
  });

  test('values that the loss does not depend on', () => {
    const g = shapedGraph('model.onnx');
    const [x] = ['x', 'a', 'b'].map((name) => g.input(name, 'float32', [3]));
    const steps = g.cast(g.compare('Greater', 'b', 0), 'float32');
    const loss = g.sum(g.mul(x ?? '', steps), undefined, false);
    expect(() => gradients(g, loss, ['x', 'a', 'b'])).toThrow(
      expect.objectContaining({ code: 'no_gradient', message: expect.stringContaining("'a', 'b'") }),
    );
    expect(influencing(g, ['a', 'b', 'x', 'x'], loss)).toEqual(['x']);
  });

  test('a loss that is no scalar', () => {
    const g = shapedGraph('model.onnx');
    expect(() => gradients(g, g.input('x', 'float32', [3]), ['x'])).toThrow(/'x' is no scalar/);
  });

  test('an index that is no constant where one is needed', () => {
    const g = shapedGraph('model.onnx');
    const [x, start] = [g.input('x', 'float32', [3]), g.input('start', 'int64', [1])];
    const cut = g.node('Slice', [x, start, g.ints([3]), g.ints([0])], { dims: [2], name: 'cut' });
    const loss = g.sum(cut, undefined, false);
    expect(() => gradients(g, loss, ['x'])).toThrow(
      /'start'\) of Slice 'cut' in model\.onnx must be a constant/,
    );
  });
});
