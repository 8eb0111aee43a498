/** The library: handlers to run in a harness of one's own, and what is needed to talk to them. */
export {
  handler as embedding,
  createEmbeddingHandler,
  type EmbeddingHandler,
} from '../handlers/embedding.ts';
export {
  handler as classification,
  createClassificationHandler,
  type ClassificationHandler,
} from '../handlers/cls.ts';
export {
  CLASSIFICATION_INPUT_JSON_SCHEMA,
  parseClassificationInput,
  type ClassificationInput,
} from './classification/input.ts';
export type { ClassificationOutput } from './classification/output.ts';
export { createClassificationTools, type ClassificationTools } from './classification/tools.ts';
export { EMBEDDING_INPUT_JSON_SCHEMA, parseEmbeddingInput, type EmbeddingInput } from './embedding/input.ts';
export type { EmbeddingOutput } from './embedding/output.ts';
export type { StatelessEmbedding, StatelessOutput } from './embedding/stateless.ts';
export type { CollectionTally, Failure } from './embedding/tally.ts';
export { createEmbeddingTools, type EmbeddingTools } from './embedding/tools.ts';
export { readSettings, type Settings } from './base/settings.ts';
export { createLog, SILENT_LOG, type Log, type LogOptions } from './base/log.ts';
export {
  HandlerError,
  HttpError,
  ImageError,
  InputError,
  ModelError,
  RunPodError,
  SettingsError,
  StoppedError,
  StoreError,
  type InputIssue,
  type StopCode,
} from './base/errors.ts';
export { FAILURE_CODES, type FailureCode } from './image/codes.ts';
export { invoke, type InvokeOptions } from './worker/invoke.ts';
export { runAsProgram, type ProgramOptions } from './worker/program.ts';
export { serve, type ServeOptions } from './worker/serve.ts';
export type { Concurrency, Load } from './worker/concurrency.ts';
export type { FitnessCheck } from './worker/fitness.ts';
export type { AnyHandler, Handler, Job, JobContext, StreamHandler } from './worker/types.ts';
