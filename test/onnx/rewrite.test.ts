import { describe, expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { graphBuilder, valueInfo } from '../../src/onnx/build.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import { toEmbeddingModel, type EmbeddingRewrite } from '../../src/onnx/rewrite.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { buildTinyClip, buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { maxDifference, plainRun, randomPixels, rowsOf, SIDE, SMALL, unitRows } from '../model/support.ts';

const VIT: EmbeddingRewrite = {
  input: 'pixel_values',
  width: SIDE,
  height: SIDE,
  rescale: SMALL.rescale,
  mean: SMALL.mean,
  std: SMALL.std,
  outputs: [
    { name: 'last_hidden_state', pooling: 'class_token' },
    { name: 'pooler_output', pooling: 'as_is' },
  ],
};
const CLIP: EmbeddingRewrite = { ...VIT, outputs: [{ name: 'image_embeds', pooling: 'as_is' }] };

async function rewrittenRun(model: OnnxModel, rewrite: EmbeddingRewrite, pixels: Uint8Array, count: number) {
  const rewritten = toEmbeddingModel(model, rewrite);
  const session = await InferenceSession.create(writeModel(rewritten.model));
  try {
    expect(session.inputNames).toEqual([rewritten.inputName]);
    expect(session.outputNames).toEqual([rewritten.outputName]);
    const input = new Tensor('uint8', pixels, [count, SIDE, SIDE, 3]);
    const output = (await session.run({ [rewritten.inputName]: input }))[rewritten.outputName];
    return rowsOf(output?.data as Float32Array, output?.dims[1] ?? 0);
  } finally {
    await session.release();
  }
}

describe('the rewritten graph gives the vectors of the original one', () => {
  const pixels = randomPixels(3);
  const noPooler = (model: OnnxModel): OnnxModel => ({
    ...model,
    graph: { ...model.graph, outputs: model.graph.outputs.filter((o) => o.name !== 'last_hidden_state') },
  });

  test.each<[string, OnnxModel, EmbeddingRewrite, string]>([
    ['class token, opset 17', buildTinyVit(), VIT, 'last_hidden_state'],
    ['class token, opset 18: axes as an input', buildTinyVit({ opset: 18 }), VIT, 'last_hidden_state'],
    ['pooler output where there is no other', noPooler(buildTinyVit()), VIT, 'pooler_output'],
    ['image embedding', buildTinyClip(), CLIP, 'image_embeds'],
    ['both towers: the text tower goes', buildTinyClip({ text: true }), CLIP, 'image_embeds'],
    ['a batch that the file fixes', buildTinyVit({ batch: 3 }), VIT, 'last_hidden_state'],
    ['names that ours could clash with', clashing(buildTinyVit()), VIT, 'last_hidden_state'],
  ])('%s', async (_, model, rewrite, output) => {
    const expected = unitRows(await plainRun(model, output, pixels, 3));
    const found = await rewrittenRun(model, rewrite, pixels, 3);
    expect(maxDifference(found, expected)).toBeLessThan(1e-5);
    // The pictures differ, and so must their vectors: equal to a constant would prove nothing.
    expect(maxDifference([found[0] ?? []], [found[1] ?? []])).toBeGreaterThan(0.01);
  });

  test('a zero vector stays zero', async () => {
    const g = graphBuilder({ name: 'zero' });
    const x = g.input('pixel_values', 'float32', ['batch', 3, SIDE, SIDE]);
    const mean = g.node('ReduceMean', [x], { attributes: { axes: [2, 3], keepdims: 0 } });
    g.output(g.node('Mul', [mean, g.floats([0], [])]), 'float32', ['batch', 3], 'image_embeds');
    const vectors = await rewrittenRun(g.toModel(), CLIP, pixels, 3);
    expect(vectors.flat().map(Math.abs)).toEqual(Array<number>(9).fill(0));
  });
});

/** Values named as the rewrite would name its own. */
function clashing(model: OnnxModel): OnnxModel {
  const { nodes } = model.graph;
  const rename = (name: string): string =>
    name.includes('_') && !/pixel|last|pooler/.test(name) ? `embed/${name}` : name;
  return {
    ...model,
    graph: {
      ...model.graph,
      initializers: model.graph.initializers.map((t) => ({ ...t, name: rename(t.name ?? '') })),
      nodes: nodes.map((n) => ({ ...n, inputs: n.inputs.map(rename), outputs: n.outputs.map(rename) })),
    },
  };
}

test('a file that fixes its batch says so', () => {
  expect(toEmbeddingModel(buildTinyVit({ batch: 3 }), VIT).fixedBatch).toBe(3);
  expect(toEmbeddingModel(buildTinyVit(), VIT)).toMatchObject({
    fixedBatch: null,
    dim: 16,
    output: 'last_hidden_state',
  });
});

describe('refused by name', () => {
  const withInput = (type: 'float16' | 'uint8' | 'float32', dims: (number | string)[]): OnnxModel => {
    const model = buildTinyVit();
    return { ...model, graph: { ...model.graph, inputs: [valueInfo('pixel_values', type, dims)] } };
  };
  const needsText = (): OnnxModel => {
    const g = graphBuilder({ name: 'both' });
    const x = g.input('pixel_values', 'float32', ['batch', 3, SIDE, SIDE]);
    const mask = g.input('attention_mask', 'float32', ['batch', 3]);
    const mean = g.node('ReduceMean', [x], { attributes: { axes: [2, 3], keepdims: 0 } });
    g.output(g.node('Mul', [mean, mask]), 'float32', ['batch', 3], 'image_embeds');
    return g.toModel();
  };
  test.each<[string, OnnxModel, EmbeddingRewrite, RegExp]>([
    [
      'another output',
      buildTinyVit(),
      CLIP,
      /no output 'image_embeds'; its outputs are 'last_hidden_state', 'pooler_output'/,
    ],
    [
      'another input',
      buildTinyVit(),
      { ...VIT, input: 'image' },
      /no input 'image'; its inputs are 'pixel_values'/,
    ],
    ['a second input', needsText(), CLIP, /also needs 'attention_mask'/],
    [
      'float16 pixels',
      withInput('float16', ['batch', 3, SIDE, SIDE]),
      VIT,
      /'pixel_values' is float16.*Node 24/,
    ],
    [
      'uint8 pixels',
      withInput('uint8', ['batch', 3, SIDE, SIDE]),
      VIT,
      /'pixel_values' is uint8, expected float32/,
    ],
    [
      'another size',
      withInput('float32', ['batch', 3, 224, 224]),
      VIT,
      /\[batch, 3, 224, 224\].*\[batch, 3, 32, 32\]/,
    ],
    ['channels last', withInput('float32', ['batch', SIDE, SIDE, 3]), VIT, /\[batch, 32, 32, 3\]/],
    ['a flat input', withInput('float32', ['batch', 3072]), VIT, /\[batch, 3072\]/],
    [
      'a token output as an embedding',
      buildTinyVit(),
      { ...VIT, outputs: [{ name: 'last_hidden_state', pooling: 'as_is' }] },
      /3 dimensions, expected \[batch, length\]/,
    ],
    [
      'an operator set of the past',
      { ...buildTinyVit(), opsetImports: [{ version: 8 }] },
      VIT,
      /operator set 8/,
    ],
    [
      'another batch than the file fixes',
      buildTinyVit({ batch: 3 }),
      { ...VIT, batchSize: 4 },
      /batches of 3 only/,
    ],
  ])('%s', (_, model, rewrite, message) => {
    expect(() => toEmbeddingModel(model, rewrite)).toThrow(message);
    expect(() => toEmbeddingModel(model, rewrite)).toThrow(/^the model does not fit: /);
  });
});
