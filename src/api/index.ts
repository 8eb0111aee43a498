/** Requests to job inputs, and the runs that come of them: what others build on, without the HTTP API. */
export { CLASSIFICATION_REQUEST, type ClassificationRequest } from './requests/classification.ts';
export {
  EXTRACTION_REQUESTS,
  type EvaluationRequest,
  type ExtractionRequest,
  type MatchingRequest,
  type ProductionRequest,
  type Purpose,
  type TrainingRequest,
} from './requests/extraction.ts';
export type { RequestKind } from './requests/request-kind.ts';
export type { ChosenModel } from './plan/choose-model.ts';
export type { CollectionMode } from './plan/collections.ts';
export { createLookup, type LabelledDataset, type Lookup, type ModelRow } from './plan/lookup.ts';
export {
  classificationInput,
  planClassification,
  type ClassificationPlan,
} from './plan/plan-classification.ts';
export {
  extractionInput,
  planExtraction,
  type ExtractionPlan,
  type InputCredentials,
  type PlanOptions,
} from './plan/plan-extraction.ts';
export {
  connectEndpoint,
  type Endpoint,
  type EndpointHealth,
  type EndpointOptions,
  type JobSubmission,
  type RunPodJob,
} from './runpod/endpoint.ts';
export { cancelRun, type CancelledRun } from './runs/cancel.ts';
export { sweepLeftovers, type Swept } from './runs/leftovers.ts';
export { keepReconciling, reconcile, takeWord, type Reconciled } from './runs/reconcile.ts';
export { retryFailed } from './runs/retry-failed.ts';
export type { RunKindName } from './runs/run-kinds.ts';
export { createRunReader, listRuns, type RunDetails, type RunView } from './runs/run-view.ts';
export { openRuns, runPolicy, type RunPolicy, type Runs, type RunsOptions } from './runs/runs.ts';
export { submitClassification, submitExtraction, type SubmittedRun } from './runs/submit.ts';
export { isSignatureOf, webhookSignature } from './runs/webhook-signature.ts';
export { startApi, type ApiOptions, type RunningApi } from './http/start-api.ts';
export { HandlerError, InputError, RunPodError, SettingsError, StoreError } from '../base/errors.ts';
export { createVectorStore, type VectorStore } from '../qdrant/store.ts';
export { createDatabase, type Database } from '../supabase/database.ts';
