import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { CATALOGUE } from '../../src/model/catalogue.ts';
import { findModelFiles } from '../../src/model/files.ts';
import { processorConfig } from '../../src/model/processor.ts';
import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import { folder, modelFolder, SMALL } from './support.ts';

const modelType = 'dinov2-small';
const onnx = writeModel(buildTinyVit());

describe('a model of MODEL_DIR', () => {
  test('with its processor', async () => {
    await using models = await modelFolder(modelType, buildTinyVit());
    const files = await findModelFiles({ modelType, modelDir: models.path });
    expect(files).toMatchObject({
      name: modelType,
      folder: join(models.path, modelType),
      preprocessing: SMALL,
    });
    expect(Buffer.from(files.bytes).equals(onnx)).toBe(true);
  });

  test('without one: the catalogue’s', async () => {
    await using models = await folder();
    await models.write(`${modelType}/model.onnx`, onnx);
    const files = await findModelFiles({ modelType, modelDir: models.path });
    expect(files.preprocessing).toEqual(CATALOGUE[modelType].preprocessing);
  });

  test('laid out as published', async () => {
    await using models = await folder();
    await models.write('clip-vit-b-32/onnx/vision_model.onnx', onnx);
    await models.write('clip-vit-b-32/preprocessor_config.json', JSON.stringify(processorConfig(SMALL)));
    const files = await findModelFiles({ modelType: 'clip-vit-b-32', modelDir: models.path });
    expect(files).toMatchObject({ folder: join(models.path, 'clip-vit-b-32/onnx'), preprocessing: SMALL });
  });

  test('missing: where it was looked for and what to do', async () => {
    await using models = await folder();
    const asked = findModelFiles({ modelType, modelDir: models.path });
    await expect(asked).rejects.toMatchObject({ code: 'model_missing' });
    await expect(asked).rejects.toThrow(join(models.path, modelType, 'model.onnx'));
    await expect(asked).rejects.toThrow('onnx-community/dinov2-small');
    await expect(findModelFiles({ modelType })).rejects.toThrow('MODEL_DIR is not set');
  });

  test('a broken processor is named', async () => {
    await using models = await folder();
    await models.write(`${modelType}/model.onnx`, onnx);
    const path = await models.write(`${modelType}/preprocessor_config.json`, '{"resample": 9}');
    await expect(findModelFiles({ modelType, modelDir: models.path })).rejects.toThrow(path);
  });
});

test('the demo model needs no file, and a file of it goes first', async () => {
  const built = await findModelFiles({ modelType: 'demo' });
  expect(built.folder).toBeNull();
  await using models = await folder();
  expect((await findModelFiles({ modelType: 'demo', modelDir: models.path })).folder).toBeNull();
  await models.write('demo/model.onnx', onnx);
  expect((await findModelFiles({ modelType: 'demo', modelDir: models.path })).bytes).toHaveLength(
    onnx.length,
  );
});

describe('a checkpoint', () => {
  test('takes the place of the published model', async () => {
    await using models = await modelFolder(modelType, buildTinyVit());
    await using elsewhere = await folder();
    const other = writeModel(buildTinyVit({ seed: 9 }));
    const checkpointPath = await elsewhere.write('fine-tuned.v2.onnx', other);
    const files = await findModelFiles({ modelType, checkpointPath, modelDir: models.path });
    expect(files).toMatchObject({ name: 'fine-tuned.v2', folder: elsewhere.path, preprocessing: SMALL });
    expect(Buffer.from(files.bytes).equals(other)).toBe(true);
  });

  test('missing', async () => {
    const asked = findModelFiles({ modelType, checkpointPath: '/nowhere/model.onnx' });
    await expect(asked).rejects.toMatchObject({ code: 'checkpoint_missing' });
  });

  const zip = Buffer.from('PK\x03\x04archive/data.pkl', 'latin1');
  const pickle = Buffer.from([0x80, 0x02, 0x8a, 0x0a, 0x6c]);
  const safetensors = Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]);
  test.each([
    ['model.pt', zip],
    ['model.pth', Buffer.from('anything')],
    ['model.bin', pickle],
    ['model.ckpt', zip],
    ['model.safetensors', safetensors],
    ['MODEL.PT', zip],
    ['download', zip],
    ['download', pickle],
    ['download', safetensors],
    ['renamed.onnx', zip],
    ['renamed.onnx', pickle],
  ])('of torch is refused by name: %s', async (name, content) => {
    await using elsewhere = await folder();
    const checkpointPath = await elsewhere.write(name, content);
    const asked = findModelFiles({ modelType, checkpointPath });
    await expect(asked).rejects.toMatchObject({ code: 'torch_checkpoint' });
    await expect(asked).rejects.toThrow(/torch\.onnx\.export/);
  });

  test('an ONNX file without its ending is taken', async () => {
    await using elsewhere = await folder();
    const checkpointPath = await elsewhere.write('download', onnx);
    expect((await findModelFiles({ modelType, checkpointPath })).bytes).toHaveLength(onnx.length);
  });
});
