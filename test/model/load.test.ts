import { chmod, readdir, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { outputSize } from '../../src/image/preprocessing.ts';
import { loadEmbeddingModel } from '../../src/model/load.ts';
import { processorConfig } from '../../src/model/processor.ts';
import { buildTinyClip, buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { graphBuilder } from '../../src/onnx/build.ts';
import { readModel, writeModel } from '../../src/onnx/codec.ts';
import { moveWeightsOut } from '../../src/onnx/external.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import {
  CPU,
  folder,
  keptLog,
  maxDifference,
  modelFolder,
  plainRun,
  randomPixels,
  rowsOf,
  SIDE,
  SMALL,
  unitRows,
} from './support.ts';

const ROW_BYTES = SIDE * SIDE * 3;

describe('vectors equal a plain run of the original graph', () => {
  test.each<['dinov2-small' | 'clip-vit-b-32', OnnxModel, string]>([
    ['dinov2-small', buildTinyVit(), 'last_hidden_state'],
    ['clip-vit-b-32', buildTinyClip({ text: true }), 'image_embeds'],
  ])('%s', async (modelType, graph, output) => {
    await using models = await modelFolder(modelType, graph);
    await using model = await loadEmbeddingModel({ ...CPU, modelType, modelDir: models.path, batchSize: 4 });
    const pixels = randomPixels(6);
    const found = rowsOf(await model.embed(pixels, 6), model.dim);
    const expected = unitRows(await plainRun(graph, output, pixels, 6));
    expect(maxDifference(found, expected)).toBeLessThan(1e-5);
    for (const row of found) expect(Math.hypot(...row)).toBeCloseTo(1, 5);
    expect(model).toMatchObject({
      modelType,
      name: modelType,
      provider: 'cpu',
      batchSize: 4,
      preprocessing: SMALL,
    });
  });
});

test('the length is known before any image, whatever the catalogue says', async () => {
  await using models = await modelFolder('dinov2-small', buildTinyVit({ dim: 24 }));
  const log = keptLog();
  await using model = await loadEmbeddingModel({
    ...CPU,
    log,
    modelType: 'dinov2-small',
    modelDir: models.path,
  });
  expect(model.dim).toBe(24);
  expect(log.lines).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      fields: { model_type: 'dinov2-small', dim: 24, published: 384 },
    }),
  );
});

describe('batches', () => {
  test('padding, batch size and queue change nothing, and nobody else’s rows come back', async () => {
    await using models = await modelFolder('dinov2-small', buildTinyVit());
    const options = { ...CPU, modelType: 'dinov2-small', modelDir: models.path } as const;
    await using four = await loadEmbeddingModel({ ...options, batchSize: 4 });
    await using one = await loadEmbeddingModel({ ...options, batchSize: 1 });
    const pixels = randomPixels(9);
    const expected = rowsOf(await one.embed(pixels, 9), one.dim);
    // All asked before any is back: 9 = 4 + 4 + 1, and each alone.
    const [all, ...alone] = await Promise.all([
      four.embed(pixels, 9),
      ...Array.from({ length: 9 }, (_, i) =>
        four.embed(pixels.subarray(i * ROW_BYTES, (i + 1) * ROW_BYTES), 1),
      ),
    ]);
    expect(maxDifference(rowsOf(all, four.dim), expected)).toBeLessThan(1e-6);
    expect(
      maxDifference(
        alone.map((v) => Array.from(v)),
        expected,
      ),
    ).toBeLessThan(1e-6);
    expect(four.fingerprint).toBe(one.fingerprint);
    expect(await four.embed(new Uint8Array(0), 0)).toHaveLength(0);
  });

  test('shared memory goes in too, and the caller keeps its own', async () => {
    await using models = await modelFolder('dinov2-small', buildTinyVit());
    await using model = await loadEmbeddingModel({
      ...CPU,
      modelType: 'dinov2-small',
      modelDir: models.path,
      batchSize: 2,
    });
    const pixels = randomPixels(2);
    const shared = new Uint8Array(new SharedArrayBuffer(pixels.length));
    shared.set(pixels);
    const [own, fromShared] = await Promise.all([model.embed(pixels, 2), model.embed(shared, 2)]);
    expect(fromShared).toEqual(own);
    expect(pixels).toHaveLength(2 * ROW_BYTES);
  });

  test('a batch that the file fixes is used', async () => {
    await using models = await modelFolder('dinov2-small', buildTinyVit({ batch: 3 }));
    const log = keptLog();
    const options = { ...CPU, log, modelType: 'dinov2-small', modelDir: models.path, batchSize: 8 } as const;
    await using model = await loadEmbeddingModel(options);
    expect(model.batchSize).toBe(3);
    expect(log.lines.map((line) => line.message)).toContain('The model file fixes the batch size');
    const pixels = randomPixels(4);
    const expected = unitRows(await plainRun(buildTinyVit(), 'last_hidden_state', pixels, 4));
    expect(maxDifference(rowsOf(await model.embed(pixels, 4), model.dim), expected)).toBeLessThan(1e-5);
  });

  test('when memory runs out the batch is halved and the work goes on', async () => {
    await using models = await modelFolder('dinov2-small', hungryModel());
    const log = keptLog();
    const options = { ...CPU, log, modelType: 'dinov2-small', modelDir: models.path, batchSize: 4 } as const;
    await using model = await loadEmbeddingModel({ ...options });
    expect(model.batchSize).toBe(2);
    const halved = log.lines.filter((line) => line.message.startsWith('Memory ran out'));
    expect(halved.map((line) => [line.level, line.fields.batch_size])).toEqual([['warn', 2]]);
    const pixels = randomPixels(5);
    const expected = unitRows(await plainRun(buildTinyVit(), 'pooler_output', pixels, 5));
    expect(maxDifference(rowsOf(await model.embed(pixels, 5), model.dim), expected)).toBeLessThan(1e-5);
  });

  test('pixels of another size are refused', async () => {
    await using models = await modelFolder('dinov2-small', buildTinyVit());
    await using model = await loadEmbeddingModel({
      ...CPU,
      modelType: 'dinov2-small',
      modelDir: models.path,
    });
    await expect(model.embed(new Uint8Array(5), 1)).rejects.toMatchObject({ code: 'invalid_pixels' });
    expect(await model.embed(randomPixels(1), 1)).toHaveLength(model.dim);
  });
});

/** The tiny ViT with a detour that takes batch^22 floats: 16 MB for two pictures, 70 TB for four. */
function hungryModel(): OnnxModel {
  const model = buildTinyVit();
  const g = graphBuilder({ name: 'hungry', prefix: 'hungry/', taken: ['pixel_values', 'pooler_output'] });
  const rows = g.node('Slice', [g.node('Shape', ['pixel_values']), g.ints([0]), g.ints([1])]);
  const shape = g.node('Concat', Array<string>(22).fill(rows), { attributes: { axis: 0 } });
  const flat = g.node('ReduceProd', [shape], { attributes: { keepdims: 1 } });
  const sum = g.node('ReduceSum', [g.node('Expand', [g.floats([0]), flat])], { attributes: { keepdims: 0 } });
  g.output(g.node('Add', ['pooler_output', sum]), 'float32', ['batch_size', 16], 'hungry_output');
  const detour = g.toGraph();
  const rename = (name: string): string =>
    name === 'pooler_output' ? 'thin_output' : name === 'hungry_output' ? 'pooler_output' : name;
  const { graph } = model;
  return {
    ...model,
    graph: {
      ...graph,
      nodes: [...graph.nodes, ...detour.nodes].map((node) => ({
        ...node,
        inputs: node.inputs.map(rename),
        outputs: node.outputs.map(rename),
      })),
      initializers: [...graph.initializers, ...detour.initializers],
      outputs: graph.outputs.filter((output) => output.name === 'pooler_output'),
    },
  };
}

describe('weights in a file beside the model', () => {
  const graph = buildTinyVit();
  const split = moveWeightsOut(graph, 'model.onnx_data', 64);
  const pixels = randomPixels(2);

  async function external() {
    const models = await modelFolder('dinov3-small', split.model);
    await models.write('dinov3-small/model.onnx_data', split.data);
    return models;
  }
  const load = (modelDir: string) =>
    loadEmbeddingModel({ ...CPU, modelType: 'dinov3-small', modelDir, batchSize: 2 });
  const expectSame = async (modelDir: string): Promise<string> => {
    await using model = await load(modelDir);
    const expected = unitRows(await plainRun(graph, 'last_hidden_state', pixels, 2));
    expect(maxDifference(rowsOf(await model.embed(pixels, 2), model.dim), expected)).toBeLessThan(1e-5);
    return model.fingerprint;
  };

  test('are found, and nothing stays in the folder', async () => {
    await using models = await external();
    await expectSame(models.path);
    expect((await readdir(join(models.path, 'dinov3-small'))).sort()).toEqual([
      'model.onnx',
      'model.onnx_data',
      'preprocessor_config.json',
    ]);
  });

  test('are found through links and in a folder that cannot be written', async () => {
    await using models = await external();
    const inPlace = await expectSame(models.path);
    await using blobs = await folder();
    const type = join(models.path, 'dinov3-small');
    await rename(join(type, 'model.onnx_data'), join(blobs.path, 'blob'));
    await symlink(join(blobs.path, 'blob'), join(type, 'model.onnx_data'));
    await chmod(type, 0o555);
    try {
      expect(await expectSame(models.path)).toBe(inPlace);
    } finally {
      await chmod(type, 0o755);
    }
  });

  test('missing: named', async () => {
    await using models = await modelFolder('dinov3-small', split.model);
    await expect(load(models.path)).rejects.toMatchObject({ code: 'model_missing' });
    await expect(load(models.path)).rejects.toThrow(join(models.path, 'dinov3-small', 'model.onnx_data'));
  });

  test('changed weights are another model', async () => {
    await using models = await external();
    const before = await expectSame(models.path);
    const changed = Uint8Array.from(split.data);
    changed.set(new Uint8Array(Float32Array.of(0.25).buffer), 0);
    await models.write('dinov3-small/model.onnx_data', changed);
    await using model = await load(models.path);
    expect(model.fingerprint).not.toBe(before);
  });

  test.each(['../secret', '/etc/passwd', 'C:\\x', ''])('at %j are refused', async (location) => {
    const outside = readModel(writeModel(split.model));
    for (const tensor of outside.graph.initializers) {
      for (const entry of tensor.externalData) if (entry.key === 'location') entry.value = location;
    }
    await using models = await modelFolder('dinov3-small', outside);
    await expect(load(models.path)).rejects.toMatchObject({ code: 'model_unreadable' });
  });
});

describe('refused at load', () => {
  test('a GPU was promised and none came up', async () => {
    await using models = await modelFolder('dinov2-small', buildTinyVit());
    const options = { ...CPU, modelType: 'dinov2-small', modelDir: models.path, requireGpu: true } as const;
    await expect(loadEmbeddingModel(options)).rejects.toMatchObject({ code: 'gpu_required' });
    await expect(loadEmbeddingModel({ ...options, providers: ['cuda', 'cpu'] })).rejects.toThrow(
      /REQUIRE_GPU is set.*cuda,cpu.*cuda: /s,
    );
  });

  test('without that promise the next provider is taken, and the log says why', async () => {
    await using models = await modelFolder('dinov2-small', buildTinyVit());
    const log = keptLog();
    const options = { ...CPU, log, modelType: 'dinov2-small', modelDir: models.path } as const;
    await using model = await loadEmbeddingModel({ ...options, providers: ['cuda', 'cpu'] });
    // On a machine with CUDA the first provider comes up, and then there is nothing to say.
    const warned = log.lines.filter((line) => line.message === 'Execution provider did not come up');
    expect(warned.map((line) => line.fields.provider)).toEqual(model.provider === 'cpu' ? ['cuda'] : []);
  });

  test('a file that is no model, and one that lies about itself: both by file', async () => {
    await using models = await folder();
    const path = await models.write('dinov2-small/model.onnx', 'version https://git-lfs.github.com/spec/v1');
    const options = { ...CPU, modelType: 'dinov2-small', modelDir: models.path } as const;
    await expect(loadEmbeddingModel(options)).rejects.toMatchObject({ code: 'model_unreadable' });
    await expect(loadEmbeddingModel(options)).rejects.toThrow(path);
    const wrong = buildTinyVit();
    const [node] = wrong.graph.nodes;
    if (node !== undefined) node.opType = 'NoSuchOperator';
    await models.write('dinov2-small/model.onnx', writeModel(wrong));
    await models.write('dinov2-small/preprocessor_config.json', JSON.stringify(processorConfig(SMALL)));
    await expect(loadEmbeddingModel(options)).rejects.toMatchObject({ code: 'model_load_failed' });
    await expect(loadEmbeddingModel(options)).rejects.toThrow(/NoSuchOperator/);
  });

  test('a model of another kind', async () => {
    await using models = await modelFolder('clip-vit-b-16', buildTinyVit());
    const asked = loadEmbeddingModel({ ...CPU, modelType: 'clip-vit-b-16', modelDir: models.path });
    await expect(asked).rejects.toMatchObject({ code: 'model_mismatch' });
    await expect(asked).rejects.toThrow(/no output 'image_embeds'/);
  });
});

describe('closing', () => {
  test('refuses what waits and what comes, ends the thread, and can be done twice', async () => {
    await using models = await modelFolder('dinov2-small', buildTinyVit());
    const model = await loadEmbeddingModel({
      ...CPU,
      modelType: 'dinov2-small',
      modelDir: models.path,
      batchSize: 1,
    });
    const waiting = Array.from({ length: 3 }, () => model.embed(randomPixels(200), 200));
    const outcomes = Promise.allSettled(waiting);
    await model.close();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'model_closed' } });
    }
    await expect(model.embed(randomPixels(1), 1)).rejects.toMatchObject({ code: 'model_closed' });
    await model.close();
  });
});

test('the demo model runs as it is shipped', async () => {
  await using model = await loadEmbeddingModel({ ...CPU, modelType: 'demo', batchSize: 2 });
  const { width, height } = outputSize(model.preprocessing);
  const pictures = Uint8Array.from({ length: width * height * 3 * 3 }, (_, i) => (i * 31 + (i >> 9)) % 256);
  const vectors = rowsOf(await model.embed(pictures, 3), model.dim);
  for (const row of vectors) expect(Math.hypot(...row)).toBeCloseTo(1, 4);
  expect(model.fingerprint).toMatch(/^demo@[0-9a-f]{16}$/);
});
