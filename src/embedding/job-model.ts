import { HandlerError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ModelLease } from '../model/cache.ts';
import { createModelHub, hubOptions } from '../model/hub/hub.ts';
import { fetchCheckpoint } from './checkpoint.ts';
import type { EmbeddingInput } from './input.ts';
import type { SignPaths } from '../job/sign.ts';
import type { EmbeddingTools } from './tools.ts';

export interface JobModelOptions {
  input: EmbeddingInput;
  tools: EmbeddingTools;
  sign: SignPaths;
  log: Log;
  signal: AbortSignal;
}

/**
 * The model that a job names, with its session, kept for the jobs after it. Its vectors' length is known and checked
 * here, before any image is read.
 * @throws HandlerError `wrong_embedding_dim`; ModelError where there is no such model, or no GPU that was promised.
 */
export async function leaseModel({ input, tools, sign, log, signal }: JobModelOptions): Promise<ModelLease> {
  const { settings, models, http } = tools;
  const batchSize = input.batch_size ?? settings.BATCH_SIZE;
  const { INFERENCE_THREADS: threads, INFERENCE_SESSIONS: sessions } = settings;
  const lease = await models.lease({
    modelType: input.model_type,
    ...(input.checkpoint_url && {
      checkpointPath: await fetchCheckpoint(input.checkpoint_url, { http, sign, signal }),
    }),
    ...(settings.MODEL_DIR && { modelDir: settings.MODEL_DIR }),
    hub: createModelHub({ ...hubOptions(settings), http, token: input.hf_token ?? settings.HF_TOKEN }),
    signal,
    ...(batchSize && { batchSize }),
    ...(threads && { threads }),
    ...(sessions && { sessions }),
    providers: settings.ONNX_PROVIDERS,
    requireGpu: settings.REQUIRE_GPU ?? false,
    log,
  });
  tools.tellSizes(lease.model, input.batch_size === undefined ? 'BATCH_SIZE' : 'batch_size of the job', log);
  const { name, dim } = lease.model;
  if (input.embedding_dim === undefined || input.embedding_dim === dim) return lease;
  await lease[Symbol.asyncDispose]();
  throw new HandlerError(
    'wrong_embedding_dim',
    `embedding_dim is ${input.embedding_dim}, but ${name} gives vectors of ${dim}`,
  );
}
