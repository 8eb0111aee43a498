import { randomUUID } from 'node:crypto';

import { classificationInput, type ClassificationPlan } from '../plan/plan-classification.ts';
import { extractionInput, type ExtractionPlan } from '../plan/plan-extraction.ts';
import { BEFORE } from './run-kinds.ts';
import { endpointOf, type Runs } from './runs.ts';
import { present, refuseLarge, submitJob, type Submission, type SubmittedRun } from './submit-job.ts';
import { dividePlan, submitShards } from './submit-shards.ts';

/**
 * Submits what was planned: the row first, then the job, then RunPod's id into the row. A plan that is to be divided
 * becomes a row for the whole and one for each shard, with a job each.
 * @throws RunPodError where RunPod did not take it: the row says so then; InputError where the input is too large, or
 * cannot be divided as it is asked for.
 */
export async function submitExtraction(runs: Runs, plan: ExtractionPlan): Promise<SubmittedRun> {
  const submission = submissionOf(runs, plan);
  if (plan.division === undefined) return submit(runs, submission);
  const shards = await dividePlan(runs, plan, submission.input);
  return shards.length > 1 ? submitShards(runs, submission, shards) : submit(runs, submission);
}

function submissionOf(runs: Runs, plan: ExtractionPlan): Submission {
  const id = randomUUID();
  const input = extractionInput(plan, id);
  const { resolved, model, mode, collections } = plan;
  return {
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
  };
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

export async function submit(runs: Runs, { kind, id, input, row }: Submission): Promise<SubmittedRun> {
  const endpoint = endpointOf(runs, kind);
  refuseLarge(input);
  await runs.rows[kind].add([{ ...present(row), id, status: BEFORE, runpod_endpoint_id: endpoint.id }]);
  return { id, kind, runpod_job_id: await submitJob(runs, { kind, id, input }), shards: null };
}

export type { SubmittedRun };
