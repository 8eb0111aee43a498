import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { BACKBONE_NAMES, findBackbone, RENAMED, type BackboneName } from '../../src/model/backbones.ts';
import { buildSmallConv } from '../../src/model/small/small-conv.ts';
import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { temporaryFolder } from '../support/folder.ts';

async function withFile(name: string, model: OnnxModel, processor?: object) {
  const folder = await temporaryFolder();
  await mkdir(join(folder.path, name));
  await writeFile(join(folder.path, name, 'model.onnx'), writeModel(model));
  if (processor !== undefined) {
    await writeFile(join(folder.path, name, 'preprocessor_config.json'), JSON.stringify(processor));
  }
  return folder;
}

/** A file that leaves the size of its pictures open. */
function ofAnySize(): OnnxModel {
  const model = buildSmallConv({ size: 32 });
  const shape = model.graph.inputs[0]?.type?.tensorType?.shape;
  if (shape !== undefined) shape.dims = shape.dims.map((dim, i) => (i < 2 ? dim : { param: `d${i}` }));
  return model;
}

describe('a file of its own in the folder of models', () => {
  test('that fixes its size is run with that, pictures prepared in proportion', async () => {
    await using folder = await withFile('resnet50', buildSmallConv({ size: 32 }));
    const found = await findBackbone('resnet50', { side: 224, modelDir: folder.path });
    expect(found).toMatchObject({ name: 'resnet50', side: 32, features: null, isTrainable: true });
    // timm's 224 out of 235.
    expect(found.preprocessing).toMatchObject({
      resize: { kind: 'shortest_edge', size: 34 },
      crop: { width: 32, height: 32 },
      mean: [0.485, 0.456, 0.406],
    });
  });

  test('that leaves its size open is run with the size asked for', async () => {
    await using folder = await withFile('resnet50', ofAnySize());
    const found = await findBackbone('resnet50', { side: 64, modelDir: folder.path });
    expect(found.side).toBe(64);
    expect(found.preprocessing.crop).toEqual({ width: 64, height: 64 });
  });

  test('with features among its outputs is read there', async () => {
    await using folder = await withFile('dinov2_vits14', buildTinyVit({ size: 32 }));
    const found = await findBackbone('dinov2_vits14', { side: 224, modelDir: folder.path });
    expect(found.features?.[0]).toEqual({ name: 'last_hidden_state', pooling: 'class_token' });
  });

  test('is prepared as the file beside it says', async () => {
    const processor = {
      image_processor_type: 'ViTImageProcessor',
      do_resize: true,
      size: { height: 224, width: 224 },
      resample: 2,
      do_rescale: true,
      rescale_factor: 1 / 255,
      do_normalize: true,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
    };
    await using folder = await withFile('vit_base_patch16_224', buildSmallConv({ size: 32 }), processor);
    const { preprocessing } = await findBackbone('vit_base_patch16_224', {
      side: 224,
      modelDir: folder.path,
    });
    expect(preprocessing).toMatchObject({
      resize: { kind: 'exact', width: 32, height: 32 },
      crop: null,
      mean: [0.5, 0.5, 0.5],
    });
  });
});

test('demo is built here, and has no weights that could learn', async () => {
  const found = await findBackbone('demo', { side: 224 });
  expect(found).toMatchObject({ name: 'demo', side: 96, folder: null, isTrainable: false });
  expect(found.features).toEqual([{ name: 'image_embeds', pooling: 'as_is' }]);
});

test.each(BACKBONE_NAMES.filter((name) => name !== 'demo'))(
  '%s is looked for by its name, and where it is published is said',
  async (name) => {
    const meant = RENAMED[name] ?? name;
    await expect(
      findBackbone(name satisfies BackboneName, { side: 224, modelDir: '/nowhere' }),
    ).rejects.toMatchObject({
      code: 'model_missing',
      message: expect.stringMatching(
        new RegExp(`'${meant}' is not here: .*/nowhere/${meant}/model\\.onnx.* from [\\w-]+/[\\w-]+\\.$`),
      ),
    });
  },
);
