import { randomUUID } from 'node:crypto';

import { InputError, messageOf, toHandlerError } from '../../base/errors.ts';
import type { Values } from '../../job/known-columns.ts';
import { classificationInput, type ClassificationPlan } from '../plan/plan-classification.ts';
import { extractionInput, type ExtractionPlan } from '../plan/plan-extraction.ts';
import { MAX_SUBMISSION_BYTES } from '../runpod/endpoint.ts';
import { BEFORE, type RunKindName } from './run-kinds.ts';
import { endpointOf, type Runs } from './runs.ts';

export interface SubmittedRun {
  /** The row's. */
  id: string;
  kind: RunKindName;
  runpod_job_id: string;
}

/**
 * Submits what was planned: the row first, then the job, then RunPod's id into the row.
 * @throws RunPodError where RunPod did not take it: the row says so then; InputError where the input is too large.
 */
export function submitExtraction(runs: Runs, plan: ExtractionPlan): Promise<SubmittedRun> {
  const id = randomUUID();
  const input = extractionInput(plan, id);
  const { resolved, model, mode, collections } = plan;
  return submit(runs, {
    kind: 'embedding',
    id,
    input: extractionInput(plan, id, runs.credentials),
    row: {
      job_type: mode === 'append' ? 'incremental' : 'full',
      source: resolved.source,
      embedding_model_id: model.id,
      purpose: plan.purpose,
      image_types: resolved.image_types,
      source_config: input.source_config,
      extraction_config: { collection_mode: mode, input },
      collection_names: collections,
    },
  });
}

/** As `submitExtraction`, for a classifier. */
export function submitClassification(runs: Runs, plan: ClassificationPlan): Promise<SubmittedRun> {
  const id = randomUUID();
  const { request, name, classes, taskType, architecture } = plan;
  return submit(runs, {
    kind: 'classification',
    id,
    input: classificationInput(plan, id, runs.credentials),
    row: {
      name,
      dataset_id: request.dataset_id,
      task_type: taskType,
      num_classes: classes,
      ...architecture,
      config: request.config,
      total_epochs: request.config.epochs,
    },
  });
}

export interface Submission {
  kind: RunKindName;
  id: string;
  input: Record<string, unknown>;
  /** Columns beside those that all runs have. */
  row: Values;
}

export async function submit(runs: Runs, { kind, id, input, row }: Submission): Promise<SubmittedRun> {
  const endpoint = endpointOf(runs, kind);
  const rows = runs.rows[kind];
  refuseLarge(input);
  await rows.add({ ...present(row), id, status: BEFORE, runpod_endpoint_id: endpoint.id });
  const runpodJobId = await submitJob(runs, { kind, id, input });
  const log = runs.log.child({ run: id, runpodJobId });
  log.info('Run submitted', { kind });
  try {
    await rows.submitted(id, runpodJobId);
    // It may have been cancelled while nobody could know what to cancel.
    if ((await rows.find(id))?.status === 'cancelled') await endpoint.cancel(runpodJobId);
  } catch (error) {
    // The job is under way and tells its row itself; without its id it can be neither cancelled there nor looked after.
    log.error("RunPod's id of a run could not be written into its row", { error });
  }
  return { id, kind, runpod_job_id: runpodJobId };
}

/** @throws RunPodError, when the row has been told. */
async function submitJob(runs: Runs, { kind, id, input }: Omit<Submission, 'row'>): Promise<string> {
  const { log, policy, webhookUrl } = runs;
  try {
    return await endpointOf(runs, kind).submit({ input, policy, webhook: webhookUrl?.(kind, id) });
  } catch (error) {
    const reason = `the run was not submitted: ${messageOf(error)}`;
    await runs.rows[kind].endUnsubmitted(id, reason).catch((failure: unknown) => {
      log.error('A run that was not submitted could not be marked as failed', { run: id, error: failure });
    });
    log.warn('A run was not submitted', { run: id, error });
    throw toHandlerError(error);
  }
}

function refuseLarge(input: Record<string, unknown>): void {
  const bytes = Buffer.byteLength(JSON.stringify(input));
  if (bytes <= MAX_SUBMISSION_BYTES) return;
  const message = `makes a job of ${bytes} bytes, above the ${MAX_SUBMISSION_BYTES} that RunPod takes; name fewer products, or choose them by dataset or filter`;
  throw new InputError([{ key: 'request', message }]);
}

function present(row: Values): Values {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined));
}
