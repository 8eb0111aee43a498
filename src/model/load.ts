import { join } from 'node:path';

import { HandlerError, ModelError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
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
import { createSession, type Session } from './session.ts';

export interface LoadOptions extends FindOptions {
  /** Tried in this order. */
  providers: readonly ExecutionProvider[];
  /** Refuse to run on the CPU. */
  requireGpu: boolean;
  /** Images a run; by default the provider's. */
  batchSize?: number;
  /** CPU threads of one run; by default the machine's cores. */
  threads?: number;
  log: Log;
}

/**
 * A model that is ready: file found, graph rewritten, session proven by one run.
 * @throws ModelError that says what is wrong with the file, its processor or the providers, before any image is read.
 */
export async function loadEmbeddingModel(options: LoadOptions): Promise<EmbeddingModel> {
  const { modelType, log } = options;
  const entry = CATALOGUE[modelType];
  const files = await findModelFiles(options);
  const { rewritten, locations } = explained(files, () => rewrite(files, modelType));
  await requireWeights(files.folder ?? '', locations);
  const fingerprint = await fingerprintOf({
    name: modelType,
    weights: [files.bytes, ...locations.map((location) => join(files.folder ?? '', location))],
    preprocessing: files.preprocessing,
    pooling: { output: rewritten.output, pooling: rewritten.pooling, normalise: 'l2' },
  });
  const session = await openWith(options, files, rewritten, locations);
  const { dim, provider } = session;
  if (entry.dim !== null && dim !== entry.dim) {
    log.warn('The model gives another vector length than the published one', {
      model_type: modelType,
      dim,
      published: entry.dim,
    });
  }
  log.info('Model loaded', {
    model_type: modelType,
    fingerprint,
    dim,
    provider,
    batch_size: session.batchSize,
  });
  return {
    modelType,
    name: files.name,
    dim,
    fingerprint,
    preprocessing: files.preprocessing,
    provider,
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

async function openWith(
  options: LoadOptions,
  files: ModelFiles,
  rewritten: RewrittenModel,
  locations: readonly string[],
): Promise<Session> {
  const { fixedBatch, inputName, outputName } = rewritten;
  if (fixedBatch !== null && options.batchSize !== undefined && options.batchSize !== fixedBatch) {
    options.log.warn('The model file fixes the batch size', {
      asked: options.batchSize,
      batch_size: fixedBatch,
    });
  }
  const open = (model: Uint8Array | string): Promise<Session> =>
    createSession({
      model,
      inputName,
      outputName,
      ...outputSize(files.preprocessing),
      fixedBatch,
      providers: options.providers,
      requireGpu: options.requireGpu,
      log: options.log,
      ...(options.batchSize === undefined ? {} : { batchSize: options.batchSize }),
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    });
  const graph = writeModel(rewritten.model);
  if (files.folder === null || locations.length === 0) return open(graph);
  // Weights beside the model are found by path only.
  await using placed = await placeGraph(graph, files.folder, locations);
  return await open(placed.path);
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
