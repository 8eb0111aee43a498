import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { HandlerError, ModelError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { readMachine, type Machine } from '../base/machine.ts';
import type { ExecutionProvider } from '../base/settings.ts';
import { outputSize } from '../image/preprocessing.ts';
import { readModel, writeModel } from '../onnx/codec.ts';
import { externalLocations } from '../onnx/external.ts';
import { toEmbeddingModel, type RewrittenModel } from '../onnx/rewrite.ts';
import { CATALOGUE, type ModelType } from './catalogue.ts';
import type { EmbeddingModel } from './embedding-model.ts';
import { findModelFiles, type FindOptions, type ModelFiles } from './files.ts';
import { fingerprintOf } from './fingerprint.ts';
import { placeGraph, requireWeights } from './place-graph.ts';
import type { Session, SessionOptions } from './session.ts';
import { createSessions } from './sessions.ts';
import { chooseInference, type InferenceSizes } from './sizes.ts';

export interface LoadOptions extends FindOptions {
  /** Tried in this order. */
  providers: readonly ExecutionProvider[];
  /** Refuse to run on the CPU. */
  requireGpu: boolean;
  /** Images a run, CPU threads of one run, sessions of the model: what is absent is chosen (sizes.ts). */
  batchSize?: number;
  threads?: number;
  sessions?: number;
  /** This one by default. */
  machine?: Machine;
  log: Log;
}

/**
 * A model that is ready: file found, graph rewritten, session proven by one run.
 * @throws ModelError that says what is wrong with the file, its processor or the providers, before any image is read.
 */
export async function loadEmbeddingModel(options: LoadOptions): Promise<EmbeddingModel> {
  const { modelType, log } = options;
  const { session, sizes, name, preprocessing, fingerprint } = await openModel(options);
  const { dim, provider } = session;
  const { dim: published } = CATALOGUE[modelType];
  if (published !== null && dim !== published) {
    log.warn('The model gives another vector length than the published one', {
      model_type: modelType,
      dim,
      published,
    });
  }
  log.info('Model loaded', {
    model_type: modelType,
    fingerprint,
    dim,
    provider,
    batch_size: session.batchSize,
    sessions: sizes.sessions.value,
  });
  return {
    modelType,
    name,
    dim,
    fingerprint,
    preprocessing,
    provider,
    sizes,
    get batchSize() {
      return session.batchSize;
    },
    get stopped() {
      return session.stopped;
    },
    embed: (pixels, count) => session.embed(pixels, count),
    close: () => session.close(),
    [Symbol.asyncDispose]: () => session.close(),
  };
}

interface OpenModel extends Pick<EmbeddingModel, 'name' | 'preprocessing' | 'fingerprint' | 'sizes'> {
  session: Session;
}

/** Everything that holds the file's bytes, apart: what the model's own functions can see stays for its whole life. */
async function openModel(options: LoadOptions): Promise<OpenModel> {
  const { modelType, providers, requireGpu, log } = options;
  const files = await findModelFiles(options);
  const { name, folder, preprocessing } = files;
  const { rewritten, locations } = explained(files, () => rewrite(files, modelType));
  await requireWeights(folder ?? '', locations);
  const fingerprint = await fingerprintOf({
    name: modelType,
    weights: [files.bytes, ...locations.map((location) => join(folder ?? '', location))],
    preprocessing,
    pooling: { output: rewritten.output, pooling: rewritten.pooling, normalise: 'l2' },
  });
  const opening = { folder, rewritten, locations, graph: writeModel(rewritten.model) };
  const sizes = await sizesOf(options, opening);
  const { inputName, outputName, fixedBatch } = rewritten;
  const forThread = { inputName, outputName, ...outputSize(preprocessing), fixedBatch };
  const session = await openSessions({ ...forThread, providers, requireGpu, sizes, log }, opening);
  return { session, sizes: sizes[session.provider], name, preprocessing, fingerprint };
}

function rewrite(
  files: ModelFiles,
  modelType: ModelType,
): { rewritten: RewrittenModel; locations: string[] } {
  const { input, outputs } = CATALOGUE[modelType];
  const { rescale, mean, std } = files.preprocessing;
  const model = readModel(files.bytes);
  const locations = externalLocations(model);
  const size = outputSize(files.preprocessing);
  return { rewritten: toEmbeddingModel(model, { input, outputs, ...size, rescale, mean, std }), locations };
}

interface Opening {
  folder: string | null;
  graph: Uint8Array;
  rewritten: RewrittenModel;
  locations: readonly string[];
}

/** How each provider would run it. */
async function sizesOf(
  options: LoadOptions,
  { folder, graph, rewritten, locations }: Opening,
): Promise<SessionOptions['sizes']> {
  const { machine = readMachine(), batchSize, log } = options;
  const { fixedBatch } = rewritten;
  if (fixedBatch !== null && batchSize !== undefined && batchSize !== fixedBatch) {
    log.warn('The model file fixes the batch size', { asked: batchSize, batch_size: fixedBatch });
  }
  const beside = await Promise.all(locations.map((location) => stat(join(folder ?? '', location))));
  const weightBytes = beside.reduce((sum, { size }) => sum + size, graph.length);
  const sizes = (provider: ExecutionProvider): InferenceSizes =>
    chooseInference({ machine, provider, weightBytes, fixedBatch }, options);
  return { cuda: sizes('cuda'), webgpu: sizes('webgpu'), cpu: sizes('cpu') };
}

async function openSessions(
  options: Omit<SessionOptions, 'model'>,
  { folder, graph, locations }: Opening,
): Promise<Session> {
  if (folder === null || locations.length === 0) return createSessions({ ...options, model: graph });
  // Weights beside the model are found by path only.
  await using placed = await placeGraph(graph, folder, locations);
  return await createSessions({ ...options, model: placed.path });
}

/** Says of which file an error speaks. */
function explained<T>(files: ModelFiles, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof HandlerError)) throw error;
    throw new ModelError(error.code, `${files.name} (${files.where}): ${error.message}`, { cause: error });
  }
}
