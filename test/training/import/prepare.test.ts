import { describe, expect, test } from '@jest/globals';

import { graphBuilder, type GraphBuilder } from '../../../src/onnx/build.ts';
import { readModel, writeModel } from '../../../src/onnx/codec.ts';
import type { OnnxModel } from '../../../src/onnx/types.ts';
import { prepareModel } from '../../../src/training/import/prepare.ts';
import { forwardDifference, imported } from './support.ts';

const DIM = 4;

function model(build: (g: GraphBuilder, x: string) => string): OnnxModel {
  const g = graphBuilder({ name: 'test' });
  const x = g.input('x', 'float32', ['batch', DIM]);
  g.output(build(g, x), 'float32', ['batch', DIM], 'y');
  return g.toModel();
}

const vector = (g: GraphBuilder, name: string, first = 1): string =>
  g.constant(
    Float32Array.from({ length: DIM }, (_, i) => first + i),
    [DIM],
    name,
  );
const namesIn = (file: OnnxModel): (string | undefined)[] => file.graph.initializers.map(({ name }) => name);

describe('weights that an exporter merged', () => {
  const tied = model((g, x) => {
    const [scale, bias] = [vector(g, 'scale'), vector(g, 'bias', 0)];
    const first = g.node('LayerNormalization', [x, scale, bias]);
    const second = g.node('LayerNormalization', [g.node('Tanh', [first]), scale, bias]);
    return g.node('Add', [second, bias]);
  });

  test('are apart again, under names that import and export share', async () => {
    expect(namesIn(prepareModel(tied))).toEqual(['scale', 'bias', 'scale~2', 'bias~2', 'bias~3']);
    const graph = await imported(tied);
    expect(graph.parameters.map(({ name }) => name)).toEqual([
      'scale',
      'bias',
      'scale~2',
      'bias~2',
      'bias~3',
    ]);
    expect(await forwardDifference(tied, graph)).toBeLessThan(1e-6);
  });

  test('are the same in a file that was prepared, written and prepared again', () => {
    const once = readModel(writeModel(prepareModel(tied)));
    expect(namesIn(prepareModel(once))).toEqual(namesIn(once));
  });

  test('and given second names by Identity have those names', async () => {
    const file = model((g, x) => {
      const scale = vector(g, 'blocks.1.scale');
      const alias = g.node('Identity', [scale], { name: 'blocks.0.scale' });
      const again = g.node('Identity', [alias], { name: 'blocks.2.scale' });
      const first = g.node('Mul', [g.node('Tanh', [x]), alias]);
      return g.node('Mul', [g.node('Tanh', [g.node('Mul', [first, scale])]), again]);
    });
    const graph = await imported(file);
    expect(graph.parameters.map(({ name }) => name)).toEqual([
      'blocks.0.scale',
      'blocks.1.scale',
      'blocks.2.scale',
    ]);
    expect(await forwardDifference(file, graph)).toBeLessThan(1e-6);
  });
});

test('a weight that is read in slices stays one', async () => {
  const file = model((g, x) => {
    const table = g.constant(
      Float32Array.from({ length: 2 * DIM }, (_, i) => i),
      [2, DIM],
      'table',
    );
    const rows = [0, 1].map((i) => g.node('Slice', [table, g.ints([i]), g.ints([i + 1]), g.ints([0])]));
    return rows.reduce((sum, row) => g.node('Add', [sum, row]), g.node('Tanh', [x]));
  });
  const graph = await imported(file);
  expect(graph.parameters.map(({ name }) => name)).toEqual(['table']);
  expect(await forwardDifference(file, graph)).toBeLessThan(1e-6);
});

test('constants in nodes are weights and numbers as others are', async () => {
  const file = model((g, x) => {
    const scale = g.node('Constant', [], {
      name: 'scale',
      attributes: { value_floats: { floats: [1, 2, 3, 4] } },
    });
    const half = g.node('Constant', [], { name: 'half', attributes: { value_float: { float: 0.5 } } });
    const shape = g.node('Constant', [], { name: 'shape', attributes: { value_ints: [2, DIM] } });
    return g.node('Reshape', [g.node('Mul', [g.node('Mul', [g.node('Tanh', [x]), scale]), half]), shape]);
  });
  const graph = await imported(file);
  expect(graph.parameters.map(({ name, values }) => [name, ...values()])).toEqual([['scale', 1, 2, 3, 4]]);
  expect(await forwardDifference(file, graph)).toBeLessThan(1e-6);
});
