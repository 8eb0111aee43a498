import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Preprocessing } from '../../src/image/preprocessing.ts';
import { processorConfig } from '../../src/model/processor.ts';
import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import { drawPictures } from './pictures.ts';
import { buildVitSmall, vitPreprocessing } from './vit-small.ts';

/** What every measured process is told. */
export interface Setup {
  /** Where pictures and models lie. */
  folder: string;
  /** The image server's address. */
  images: string;
  /** The image server's process. */
  server: number;
  /** How many pictures there are. */
  pictures: number;
}

/** The type by which the models are asked for, and what transformers.js calls that kind. */
export const MODEL_TYPE = 'dinov2-small';
const TRANSFORMERS_TYPE = 'dinov2';

export const picturesFolder = ({ folder }: Pick<Setup, 'folder'>): string => join(folder, 'pictures');
/** A MODEL_DIR with the model that is measured. */
export const modelsFolder = ({ folder }: Pick<Setup, 'folder'>): string => join(folder, 'models');
/** A MODEL_DIR with one that costs next to nothing. */
export const tinyModelsFolder = ({ folder }: Pick<Setup, 'folder'>): string => join(folder, 'tiny-models');
/** The model's file as transformers.js wants it. */
export const hubFolder = ({ folder }: Pick<Setup, 'folder'>): string => join(folder, 'hub');

const TINY: Preprocessing = {
  ...vitPreprocessing,
  resize: { kind: 'exact', width: 32, height: 32 },
  crop: null,
};

/** Draws the pictures and builds the models. */
export async function prepare(folder: string, pictures: number): Promise<void> {
  await writeModelFolder(join(modelsFolder({ folder }), MODEL_TYPE), buildVitSmall(), vitPreprocessing);
  await writeModelFolder(join(tinyModelsFolder({ folder }), MODEL_TYPE), buildTinyVit(), TINY);
  const hub = join(hubFolder({ folder }), 'vit-small');
  await mkdir(join(hub, 'onnx'), { recursive: true });
  await cp(join(modelsFolder({ folder }), MODEL_TYPE, 'model.onnx'), join(hub, 'onnx', 'model.onnx'));
  await writeFile(join(hub, 'config.json'), JSON.stringify({ model_type: TRANSFORMERS_TYPE }));
  await writeFile(join(hub, 'preprocessor_config.json'), JSON.stringify(processorConfig(vitPreprocessing)));
  await drawPictures(picturesFolder({ folder }), pictures);
}

async function writeModelFolder(
  folder: string,
  model: OnnxModel,
  preprocessing: Preprocessing,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'model.onnx'), writeModel(model));
  await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify(processorConfig(preprocessing)));
}
