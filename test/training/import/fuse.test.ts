import { describe, expect, test } from '@jest/globals';

import { graphBuilder, type GraphBuilder } from '../../../src/onnx/build.ts';
import type { OnnxModel } from '../../../src/onnx/types.ts';
import { forwardDifference, imported, operators } from './support.ts';

const DIM = 6;

/** Around something that is learned, so that nothing is folded. */
function model(build: (g: GraphBuilder, x: string) => string): OnnxModel {
  const g = graphBuilder({ name: 'test' });
  const x = g.input('x', 'float32', ['batch', DIM]);
  const weight = g.constant(
    Float32Array.from({ length: DIM }, (_, i) => Math.cos(i)),
    [DIM],
    'weight',
  );
  g.output(build(g, g.node('Mul', [x, weight])), 'float32', ['batch', DIM], 'y');
  return g.toModel();
}

const number = (g: GraphBuilder, value: number): string => g.floats([value], []);
const vector = (g: GraphBuilder): string =>
  g.constant(
    Float32Array.from({ length: DIM }, (_, i) => 1 + Math.sin(i)),
    [DIM],
  );

describe('GELU in five operators becomes one, in whatever order its factors stand', () => {
  const erf = (g: GraphBuilder, x: string): string =>
    g.node('Erf', [g.node('Div', [x, number(g, Math.SQRT2)])]);
  const sum = (g: GraphBuilder, x: string): string => g.node('Add', [erf(g, x), number(g, 1)]);
  test.each<[string, (g: GraphBuilder, x: string) => string]>([
    ['(x·s)·0.5', (g, x) => g.node('Mul', [g.node('Mul', [x, sum(g, x)]), number(g, 0.5)])],
    ['0.5·(s·x)', (g, x) => g.node('Mul', [number(g, 0.5), g.node('Mul', [sum(g, x), x])])],
    ['(x·0.5)·s', (g, x) => g.node('Mul', [g.node('Mul', [x, number(g, 0.5)]), sum(g, x)])],
    ['x·(0.5·s)', (g, x) => g.node('Mul', [x, g.node('Mul', [number(g, 0.5), sum(g, x)])])],
    [
      'a product instead of the quotient',
      (g, x) => {
        const inner = g.node('Erf', [g.node('Mul', [number(g, Math.SQRT1_2), x])]);
        const above = g.node('Add', [number(g, 1), inner]);
        return g.node('Mul', [g.node('Mul', [above, x]), number(g, 0.5)]);
      },
    ],
    [
      'x the sum of a layer and its bias',
      (g, x) => {
        const y = g.node('Add', [x, vector(g)]);
        return g.node('Mul', [g.node('Mul', [y, sum(g, y)]), number(g, 0.5)]);
      },
    ],
  ])('%s', async (_, build) => {
    const file = model(build);
    const graph = await imported(file);
    expect(operators(graph)).toMatchObject({ Gelu: 1 });
    expect(operators(graph)).not.toHaveProperty('Erf');
    expect(await forwardDifference(file, graph)).toBeLessThan(1e-5);
  });

  test.each<[string, (g: GraphBuilder, x: string) => string]>([
    ['another factor', (g, x) => g.node('Mul', [g.node('Mul', [x, sum(g, x)]), number(g, 0.25)])],
    [
      'another argument',
      (g, x) => g.node('Mul', [g.node('Mul', [x, sum(g, g.node('Tanh', [x]))]), number(g, 0.5)]),
    ],
    [
      'another divisor',
      (g, x) => {
        const other = g.node('Add', [g.node('Erf', [g.node('Div', [x, number(g, 1.5)])]), number(g, 1)]);
        return g.node('Mul', [g.node('Mul', [x, other]), number(g, 0.5)]);
      },
    ],
  ])('but not with %s', async (_, build) => {
    const file = model(build);
    const graph = await imported(file);
    expect(operators(graph)).not.toHaveProperty('Gelu');
    expect(await forwardDifference(file, graph)).toBeLessThan(1e-6);
  });
});

describe('LayerNorm in nine operators becomes one', () => {
  interface Way {
    axis?: number;
    epsilonFirst?: boolean;
    squareByMul?: boolean;
    exponent?: number;
    scaleFirst?: boolean;
  }
  const norm =
    ({ axis = -1, epsilonFirst = false, squareByMul = false, exponent = 2, scaleFirst = false }: Way) =>
    (g: GraphBuilder, x: string): string => {
      const mean = (value: string): string =>
        g.node('ReduceMean', [value], { attributes: { axes: [axis], keepdims: 1 } });
      const centred = g.node('Sub', [x, mean(x)]);
      const square = squareByMul
        ? g.node('Mul', [centred, centred])
        : g.node('Pow', [centred, number(g, exponent)]);
      const variance = mean(square);
      const shifted = g.node('Add', epsilonFirst ? [number(g, 1e-5), variance] : [variance, number(g, 1e-5)]);
      const normal = g.node('Div', [centred, g.node('Sqrt', [shifted])]);
      const scaled = g.node('Mul', scaleFirst ? [vector(g), normal] : [normal, vector(g)]);
      return g.node('Add', scaleFirst ? [vector(g), scaled] : [scaled, vector(g)]);
    };
  test.each<[string, Way]>([
    ['as torch writes it', {}],
    ['the axis counted from the front', { axis: 1 }],
    ['a product as the square', { squareByMul: true }],
    ['the other way round', { epsilonFirst: true, scaleFirst: true }],
  ])('%s', async (_, way) => {
    const file = model(norm(way));
    const graph = await imported(file);
    expect(operators(graph)).toEqual({ Mul: 1, LayerNormalization: 1 });
    expect(await forwardDifference(file, graph)).toBeLessThan(1e-5);
  });

  test.each<[string, Way]>([
    ['over another axis', { axis: 0 }],
    ['with another power', { exponent: 4 }],
  ])('but not %s', async (_, way) => {
    const file = model(norm(way));
    const graph = await imported(file);
    expect(operators(graph)).not.toHaveProperty('LayerNormalization');
    expect(await forwardDifference(file, graph)).toBeLessThan(1e-5);
  });
});
