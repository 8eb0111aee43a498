import { open, readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';

import { ModelError } from '../base/errors.ts';
import { SILENT_LOG, type Log } from '../base/log.ts';
import type { Preprocessing } from '../image/preprocessing.ts';
import { writeModel } from '../onnx/codec.ts';
import type { OnnxModel } from '../onnx/types.ts';
import { CATALOGUE, type ModelType } from './catalogue.ts';
import type { ModelHub } from './hub/hub.ts';
import { readRecord, verifyRecord } from './hub/record.ts';
import { PROCESSOR_FILE, type ModelSource } from './hub/snapshot.ts';
import { parseProcessor } from './processor.ts';
import { buildDemoDescriptor } from './small/demo-descriptor.ts';

export interface ModelFiles {
  /** The model type, or the checkpoint's file name without its ending. */
  name: string;
  /** Where messages say that it lies. */
  where: string;
  bytes: Uint8Array;
  /** The folder in which files beside the model lie; null for a model built in memory. */
  folder: string | null;
  preprocessing: Preprocessing;
}

/** What is known of a model before its file is seen. */
export interface ModelPlace {
  /** What jobs call it, and its folder in `modelDir`. */
  name: string;
  /** Where it is published; null for a model that this package builds itself. */
  source: ModelSource | null;
  /** Used where no `preprocessor_config.json` lies beside the file. */
  preprocessing: Preprocessing;
  /** The graph of a model that this package builds itself. */
  build?: () => OnnxModel;
}

export interface PlacesOptions {
  /** A fine-tuned model of that type, in place of the published one. */
  checkpointPath?: string;
  /** Folder with a folder for each model type: `{model type}/model.onnx`. */
  modelDir?: string;
  /** Where a published model comes from that is not in `modelDir`; without it, only that folder counts. */
  hub?: ModelHub;
  /** Ends the wait for the hub. */
  signal?: AbortSignal;
  log?: Log;
}

export interface FindOptions extends PlacesOptions {
  modelType: ModelType;
}

type Placed = PlacesOptions & { place: ModelPlace };

const TORCH_ENDINGS = new Set(['.pt', '.pth', '.bin', '.ckpt', '.safetensors', '.pkl']);

/** `findPlacedModel` for a model of the catalogue. */
export function findModelFiles({ modelType, ...options }: FindOptions): Promise<ModelFiles> {
  const { source, preprocessing } = CATALOGUE[modelType];
  const build = modelType === 'demo' ? { build: buildDemoDescriptor } : {};
  return findPlacedModel({ name: modelType, source, preprocessing, ...build }, options);
}

/**
 * The model's bytes and its preprocessing: the checkpoint, else `{modelDir}/{name}/model.onnx` (or the published
 * file's own path in that folder), else what this package builds itself, else what the hub has of it.
 * @throws ModelError `model_missing`, `model_changed`, `checkpoint_missing`, `torch_checkpoint`, `processor_invalid`,
 * `model_too_large`; or what `ModelHub.find` throws.
 */
export async function findPlacedModel(place: ModelPlace, given: PlacesOptions): Promise<ModelFiles> {
  const options = { ...given, place };
  if (options.checkpointPath !== undefined) return readCheckpoint(options.checkpointPath, options);
  const found = await firstExisting(candidatePaths(options));
  if (found !== undefined) {
    const folders = [dirname(found), ...nameFolder(options)];
    await verifyCopies(folders);
    return readModelFile(found, place.name, folders, place);
  }
  if (place.build !== undefined) return built(place, place.build);
  return readFromHub(options);
}

async function readFromHub(options: Placed): Promise<ModelFiles> {
  const { place, hub, signal, log = SILENT_LOG } = options;
  const { source } = place;
  if (hub === undefined || source === null) throw missing(options);
  const found = await hub.find(source, { log, signal });
  if ('lookedFor' in found) throw missing(options, found.lookedFor);
  const { graph, root } = found;
  return readModelFile(graph, place.name, [dirname(graph), root], place);
}

/** A folder copied from a cache has the record of its files with it. */
async function verifyCopies(folders: readonly string[]): Promise<void> {
  await Promise.all(
    [...new Set(folders)].map(async (folder) => {
      const record = await readRecord(folder);
      if (record !== undefined) await verifyRecord(folder, record);
    }),
  );
}

function candidatePaths(options: Placed): string[] {
  const files = ['model.onnx', options.place.source?.file ?? 'model.onnx'];
  return nameFolder(options).flatMap((folder) => [...new Set(files)].map((file) => join(folder, file)));
}

function nameFolder({ modelDir, place }: Placed): string[] {
  return modelDir === undefined ? [] : [resolve(modelDir, place.name)];
}

async function readCheckpoint(path: string, options: Placed): Promise<ModelFiles> {
  const full = resolve(path);
  if (!(await isFile(full))) {
    throw new ModelError('checkpoint_missing', `there is no checkpoint file ${full}`);
  }
  await refuseTorch(full);
  const folders = [dirname(full), ...nameFolder(options)];
  return readModelFile(full, basename(full, extname(full)), folders, options.place);
}

async function readModelFile(
  path: string,
  name: string,
  folders: readonly string[],
  place: ModelPlace,
): Promise<ModelFiles> {
  const processor = await firstExisting(folders.map((folder) => join(folder, PROCESSOR_FILE)));
  const preprocessing =
    processor === undefined
      ? place.preprocessing
      : parseProcessor(await readFile(processor, 'utf8'), processor);
  return { name, where: path, bytes: await readWhole(path), folder: dirname(path), preprocessing };
}

function built({ name, preprocessing }: ModelPlace, build: () => OnnxModel): ModelFiles {
  return { name, where: 'built by this package', bytes: writeModel(build()), folder: null, preprocessing };
}

/** Torch checkpoints by ending, or by how they begin: a zip, a pickle, or safetensors' header. */
async function refuseTorch(path: string): Promise<void> {
  const ending = extname(path).toLowerCase();
  const head = await readHead(path, 16);
  const isZip = head.subarray(0, 4).equals(Buffer.from('PK\x03\x04', 'latin1'));
  const isPickle = head[0] === 0x80 && (head[1] ?? 0xff) >= 2 && (head[1] ?? 0xff) <= 5;
  const isSafetensors = head.length >= 9 && head[8] === 0x7b && head.readBigUInt64LE(0) < 1n << 32n;
  if (
    ending !== '.onnx' ? TORCH_ENDINGS.has(ending) || isZip || isPickle || isSafetensors : isZip || isPickle
  ) {
    throw new ModelError(
      'torch_checkpoint',
      `${basename(path)} is a torch checkpoint, which this worker does not run: export it to ONNX first, ` +
        'for example with torch.onnx.export(model, image, "model.onnx", opset_version=18, dynamo=True) ' +
        'with the batch dimension dynamic, and give the .onnx file',
    );
  }
}

async function readHead(path: string, bytes: number): Promise<Buffer> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
  return buffer.subarray(0, bytesRead);
}

const MAX_FILE_BYTES = 2 ** 31 - 1;

async function readWhole(path: string): Promise<Uint8Array> {
  const { size } = await stat(path);
  if (size > MAX_FILE_BYTES) {
    throw new ModelError(
      'model_too_large',
      `${path} is above 2 GiB, which no ONNX file can be: is it complete?`,
    );
  }
  return readFile(path);
}

async function firstExisting(paths: readonly string[]): Promise<string | undefined> {
  const there = await Promise.all(paths.map(isFile));
  return paths.find((_, i) => there[i]);
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

function missing(options: Placed, atHub: readonly string[] = []): ModelError {
  const { source, name } = options.place;
  const from =
    source === null ? '' : ` Get ${source.file} (with any data file beside it) from ${source.repository}.`;
  const lookedFor = [...candidatePaths(options), ...atHub];
  const looked = [
    lookedFor.length === 0 ? [] : `looked for ${lookedFor.join(' and ')}`,
    atHub.length === 0 ? [] : 'HF_HUB_OFFLINE is set, so that nothing is fetched',
    options.modelDir === undefined
      ? 'MODEL_DIR is not set: set it to a folder that holds'
      : 'MODEL_DIR must hold',
  ];
  return new ModelError(
    'model_missing',
    `the model '${name}' is not here: ${looked.flat().join('; ')} ${name}/model.onnx and ` +
      `${name}/${PROCESSOR_FILE}.${from}`,
  );
}
