import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { float, graphBuilder, type GraphBuilder } from '../../../src/onnx/build.ts';
import { writeModel } from '../../../src/onnx/codec.ts';
import { moveWeightsOut } from '../../../src/onnx/external.ts';
import { DATA_TYPE, type OnnxModel } from '../../../src/onnx/types.ts';
import { buildTinyVit } from '../../../src/model/small/tiny-models.ts';
import { importGraph } from '../../../src/training/import/import-graph.ts';
import { forwardDifference, imported } from './support.ts';

/** A model of one input `x` and one output `y`, `[batch, ...]` both. */
function model(
  dims: readonly (number | string)[],
  build: (g: GraphBuilder, x: string) => string,
  opset = 17,
): OnnxModel {
  const g = graphBuilder({ name: 'test', opset });
  const x = g.input('x', 'float32', dims);
  g.output(build(g, x), 'float32', ['batch', null], 'y');
  return g.toModel();
}

const weights = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.sin(i + 1));
const namesOf = (graph: Awaited<ReturnType<typeof imported>>) => graph.parameters.map(({ name }) => name);

describe('what is imported', () => {
  test('gives what the file gives', async () => {
    const vit = buildTinyVit();
    const graph = await imported(vit, { inputDims: [2, 3, 32, 32], output: 'pooler_output' });
    expect(graph.graph.dims(graph.output)).toEqual([2, 16]);
    expect(await forwardDifference(vit, graph)).toBeLessThan(1e-5);
  });

  test('a class token that is repeated for each picture stays one weight', async () => {
    const { parameters, graph } = await imported(buildTinyVit(), { output: 'pooler_output' });
    const expand = graph.ordered().find(({ opType }) => opType === 'Expand');
    const token = parameters.find(({ name }) => name === expand?.inputs[0]);
    expect(token?.dims).toEqual([1, 1, 16]);
    expect(parameters.every(({ dims }) => dims.length < 3 || dims[0] !== 2)).toBe(true);
  });

  test('values are those of the file', async () => {
    const matrix = weights(6);
    const { parameters } = await imported(
      model(['batch', 3], (g, x) => g.node('MatMul', [x, g.constant(matrix, [3, 2], 'w')])),
    );
    expect(parameters.map(({ name, dims, values }) => [name, dims, values()])).toEqual([
      ['w', [3, 2], matrix],
    ]);
  });

  test('weights may lie in a file beside it', async () => {
    const vit = buildTinyVit();
    const moved = moveWeightsOut(vit, 'weights.bin', 4);
    const folder = await mkdtemp(join(tmpdir(), 'import-test-'));
    try {
      const path = join(folder, 'model.onnx');
      await writeFile(path, writeModel(moved.model));
      await writeFile(join(folder, 'weights.bin'), moved.data);
      const graph = await importGraph({ path, batchSize: 2, output: 'pooler_output' });
      expect(await forwardDifference(vit, graph)).toBeLessThan(1e-5);
      await rm(join(folder, 'weights.bin'));
      await expect(importGraph({ path, batchSize: 2 })).rejects.toMatchObject({ code: 'model_missing' });
      await writeFile(join(folder, 'weights.bin'), moved.data.subarray(8));
      await expect(importGraph({ path, batchSize: 2 })).rejects.toMatchObject({ code: 'model_unreadable' });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  test('other outputs, and what only they need, are left out', async () => {
    const { graph } = await imported(buildTinyVit(), { output: 'pooler_output' });
    expect(graph.outputNames()).toEqual(['pooler_output']);
    const whole = await imported(buildTinyVit());
    expect(whole.output).toBe('last_hidden_state');
    expect(whole.graph.ordered().some(({ opType }) => opType === 'Gather')).toBe(false);
  });
});

describe('which weights can be trained', () => {
  test('running statistics cannot', async () => {
    const graph = await imported(
      model(['batch', 2], (g, x) => {
        const names = ['scale', 'bias', 'mean', 'variance'].map((name) =>
          g.constant(Float32Array.of(1, 2), [2], name),
        );
        return g.node('BatchNormalization', [x, ...names]);
      }),
    );
    expect(namesOf(graph)).toEqual(['scale', 'bias']);
  });

  test('attention masks cannot, biases that happen to be zero can', async () => {
    const graph = await imported(
      model(['batch', 3], (g, x) => {
        const layer = g.node('MatMul', [x, g.constant(weights(9), [3, 3], 'w')]);
        const biased = g.node('Add', [layer, g.constant(new Float32Array(3), [3], 'bias')]);
        const masked = g.node('Add', [biased, g.constant(Float32Array.of(0, -100, 0), [3], 'mask')]);
        const off = g.node('Add', [masked, g.constant(Float32Array.of(-Infinity, 0, 0), [3], 'off')]);
        return g.node('Softmax', [off]);
      }),
    );
    expect(namesOf(graph)).toEqual(['w', 'bias']);
  });

  test('constants that normalise the pictures cannot', async () => {
    const graph = await imported(
      model(['batch', 3], (g, x) => {
        const centred = g.node('Sub', [x, g.constant(weights(3), [3], 'mean')]);
        const scaled = g.node('Div', [centred, g.constant(weights(3), [3], 'std')]);
        const layer = g.node('Mul', [g.node('Relu', [scaled]), g.constant(weights(3), [3], 'scale')]);
        return g.node('Add', [layer, g.constant(weights(3), [3], 'shift')]);
      }),
    );
    expect(namesOf(graph)).toEqual(['scale', 'shift']);
  });

  test('what the output does not depend on by floats cannot', async () => {
    const graph = await imported(
      model(['batch', 3], (g, x) => {
        const steps = g.node('Greater', [g.node('Mul', [x, x]), g.constant(weights(3), [3], 'thresholds')]);
        return g.node('Where', [steps, g.constant(weights(3), [3], 'above'), x]);
      }),
    );
    expect(namesOf(graph)).toEqual(['above']);
  });
});

describe('refused, by name and before anything runs', () => {
  const linear = (g: GraphBuilder, x: string) => g.node('MatMul', [x, g.constant(weights(9), [3, 3], 'w')]);

  test.each<[string, OnnxModel, RegExp]>([
    [
      'quantised',
      model(['batch', 3], (g, x) => {
        const [q = '', s = '', z = ''] = g.nodes('DynamicQuantizeLinear', [x], {
          outputs: 3,
          name: 'quantise',
        });
        return linear(g, g.node('DequantizeLinear', [q, s, z]));
      }),
      /model\.onnx cannot be trained: it is quantised \(DynamicQuantizeLinear 'quantise'\); take the float32 file/,
    ],
    [
      'vendor-fused',
      model(['batch', 3], (g, x) =>
        g.node('FastGelu', [linear(g, x)], { domain: 'com.microsoft', name: 'fused' }),
      ),
      /operators of com\.microsoft \(FastGelu 'fused'\); take the file as it was exported/,
    ],
    [
      'float16 weights',
      halved(model(['batch', 3], linear)),
      /its weight 'w' is float16; take the float32 file/,
    ],
    ['an operator set before 9', model(['batch', 3], linear, 8), /operator set 8; export it anew/],
  ])('%s', async (_, file, message) => {
    await expect(imported(file)).rejects.toMatchObject({
      code: 'model_not_trainable',
      message: expect.stringMatching(message),
    });
  });

  test.each<[string, OnnxModel, Parameters<typeof imported>[1], RegExp]>([
    [
      'another batch than the file fixes',
      model([1, 3], linear),
      {},
      /batches of 1 only, 2 is wanted: export it/,
    ],
    ['open lengths', model(['batch', 'w'], linear), {}, /leaves lengths open: say which size/],
    [
      'other pictures',
      model(['batch', 3], linear),
      { inputDims: [2, 4] },
      /is \[2, 3\], but the pictures are \[2, 4\]/,
    ],
    ['other axes', model(['batch', 3], linear), { inputDims: [2, 3, 1] }, /but the pictures are \[2, 3, 1\]/],
    [
      'no such output',
      model(['batch', 3], linear),
      { output: 'z' },
      /has no output 'z'; its outputs are 'y'/,
    ],
    ['two inputs', twoInputs(), {}, /one input is expected, it has 'a', 'b'/],
  ])('%s', async (_, file, options, message) => {
    await expect(imported(file, options)).rejects.toMatchObject({
      code: 'model_mismatch',
      message: expect.stringMatching(message),
    });
  });

  test('lengths that are known only when it runs', async () => {
    const file = model(['batch', 3], (g, x) => {
      const rows = g.node('Transpose', [g.node('NonZero', [x])], { attributes: { perm: [1, 0] } });
      return linear(g, g.node('GatherND', [g.node('Expand', [x, g.ints([2, 3])]), rows]));
    });
    await expect(imported(file)).rejects.toMatchObject({ code: 'shape_unknown' });
  });

  test('what ONNX Runtime does not take', async () => {
    const file = model(['batch', 3], (g, x) => g.node('NoSuchOperator', [linear(g, x)]));
    await expect(imported(file)).rejects.toMatchObject({ code: 'model_load_failed' });
  });
});

test('a length that the file leaves open is taken from the pictures', async () => {
  const file = model(['batch', 'n'], (g, x) => {
    const pooled = g.node('ReduceMean', [x], { attributes: { axes: [1], keepdims: 1 } });
    return g.node('Mul', [pooled, g.constant(weights(2), [2], 'w')]);
  });
  const graph = await imported(file, { inputDims: [2, 5] });
  expect(graph.graph.dims('x')).toEqual([2, 5]);
  expect(await forwardDifference(file, graph)).toBeLessThan(1e-6);
});

/** The same with its weights said to be float16. */
function halved(file: OnnxModel): OnnxModel {
  const initializers = file.graph.initializers.map((tensor) => ({
    ...tensor,
    dataType: DATA_TYPE.float16,
    rawData: new Uint8Array(2 * tensor.dims.reduce((n, d) => n * d, 1)),
  }));
  return { ...file, graph: { ...file.graph, initializers } };
}

function twoInputs(): OnnxModel {
  const g = graphBuilder({ name: 'two' });
  const [a, b] = [g.input('a', 'float32', [2]), g.input('b', 'float32', [2])];
  g.output(g.node('Add', [a, b]), 'float32', [2], 'y');
  return g.toModel();
}

test('an epsilon and other single numbers are no weights', async () => {
  const file = model(['batch', 4], (g, x) => {
    const [scale, bias] = [g.constant(weights(4), [4], 'scale'), g.constant(weights(4), [4], 'bias')];
    const norm = g.node('LayerNormalization', [x, scale, bias], { attributes: { epsilon: float(1e-3) } });
    return g.node('Mul', [norm, g.floats([0.5], [1], 'half')]);
  });
  expect(namesOf(await imported(file))).toEqual(['scale', 'bias']);
});
