/** `npm run models`: writes the models that this package builds itself into `models/`, to look at or to copy. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import type { Preprocessing } from '../src/image/preprocessing.ts';
import { processorConfig } from '../src/model/processor.ts';
import { buildDemoDescriptor, demoPreprocessing } from '../src/model/small/demo-descriptor.ts';
import { buildTinyClip, buildTinyVit } from '../src/model/small/tiny-models.ts';
import { writeModel } from '../src/onnx/codec.ts';
import { moveWeightsOut } from '../src/onnx/external.ts';
import type { OnnxModel } from '../src/onnx/types.ts';

const TINY: Preprocessing = {
  ...demoPreprocessing,
  resize: { kind: 'exact', width: 32, height: 32 },
  crop: null,
};

interface Written {
  model: OnnxModel;
  preprocessing: Preprocessing;
  /** Weights that lie in a file beside the model. */
  data?: Uint8Array;
}

const external = moveWeightsOut(buildTinyVit(), 'model.onnx_data', 64);
const MODELS: Record<string, Written> = {
  demo: { model: buildDemoDescriptor(), preprocessing: demoPreprocessing },
  'tiny-vit': { model: buildTinyVit(), preprocessing: TINY },
  'tiny-vit-external': { ...external, preprocessing: TINY },
  'tiny-clip': { model: buildTinyClip({ text: true }), preprocessing: TINY },
};

const target = resolve(process.argv[2] ?? 'models');
for (const [name, { model, preprocessing, data }] of Object.entries(MODELS)) {
  const folder = join(target, name);
  await mkdir(folder, { recursive: true });
  const bytes = writeModel(model);
  await writeFile(join(folder, 'model.onnx'), bytes);
  if (data !== undefined) await writeFile(join(folder, 'model.onnx_data'), data);
  const config = `${JSON.stringify(processorConfig(preprocessing), undefined, 2)}\n`;
  await writeFile(join(folder, 'preprocessor_config.json'), config);
  console.log(`${join(folder, 'model.onnx')}  ${String(bytes.length + (data?.length ?? 0))} bytes`);
}
