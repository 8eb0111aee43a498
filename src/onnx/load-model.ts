import { open, readFile, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { messageOf, ModelError } from '../base/errors.ts';
import { readModel } from './codec.ts';
import { EXTERNAL, externalLocations } from './external.ts';
import type { OnnxModel, Tensor } from './types.ts';

/**
 * A model file with all its weights in memory, also those of the main graph that lie in files beside it.
 * @throws ModelError `model_unreadable` for what is no model, `model_missing` for a file of weights that is not there.
 */
export async function loadModel(path: string): Promise<OnnxModel> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new ModelError('model_missing', `could not read the model ${path}: ${messageOf(cause)}`, { cause });
  });
  const model = readModel(bytes);
  const files = new Map<string, FileHandle>();
  try {
    for (const location of externalLocations(model)) {
      files.set(location, await openWeights(join(dirname(path), location)));
    }
    const initializers: Tensor[] = [];
    for (const tensor of model.graph.initializers) initializers.push(await inMemory(tensor, files));
    return { ...model, graph: { ...model.graph, initializers } };
  } finally {
    for (const file of files.values()) await file.close();
  }
}

async function openWeights(path: string): Promise<FileHandle> {
  return open(path).catch((cause: unknown) => {
    const message = `the model keeps weights in a file beside it, but ${path} cannot be read`;
    throw new ModelError('model_missing', message, { cause });
  });
}

async function inMemory(tensor: Tensor, files: ReadonlyMap<string, FileHandle>): Promise<Tensor> {
  if (tensor.dataLocation !== EXTERNAL) return tensor;
  const said = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const file = files.get(said.get('location') ?? '');
  if (file === undefined) return tensor;
  const position = Number(said.get('offset') ?? 0);
  const length = Number(said.get('length') ?? (await file.stat()).size - position);
  const rawData = new Uint8Array(length);
  const { bytesRead } = await file.read(rawData, 0, length, position);
  if (bytesRead !== length) {
    throw new ModelError(
      'model_unreadable',
      `the weights of '${tensor.name ?? ''}' end early: the file beside the model is cut off`,
    );
  }
  const { dataLocation: _, ...rest } = tensor;
  return { ...rest, rawData, externalData: [] };
}
