import { randomUUID } from 'node:crypto';

import { InputError, messageOf, toHandlerError } from '../../base/errors.ts';
import { divideListing, type DividedShard } from '../../embedding/divide/divide.ts';
import { parseEmbeddingInput } from '../../embedding/input.ts';
import { mapConcurrent } from '../../flow/streams.ts';
import { inTheRequestsWords, type ExtractionPlan } from '../plan/plan-extraction.ts';
import { BEFORE } from './run-kinds.ts';
import { endpointOf, type Runs } from './runs.ts';
import { shardInput, type RunShard } from './shard-input.ts';
import { notSubmitted, present, refuseLarge, submitJob } from './submit-job.ts';
import type { Submission, SubmittedRun } from './submit-job.ts';

/** A shard that has no row yet, and about how many images it has. */
export type NewShard = Omit<RunShard, 'id'> & { images: number };

const KIND = 'embedding';
const SUBMITTED_AT_ONCE = 8;
/** Where RunPod has taken none of so many, it is not asked with the others. */
const REFUSED_AT_FIRST = 3;
/** A column's largest number. */
const MOST_IMAGES = 2 ** 31 - 1;

/**
 * Divides the listing of a planned run.
 * @throws InputError by the request's field: where the database lacks the columns, or the filter of products is wrong.
 */
export async function dividePlan(
  runs: Runs,
  { division, resolved }: ExtractionPlan,
  input: Record<string, unknown>,
): Promise<DividedShard[]> {
  const { source_config: config } = parseEmbeddingInput(input);
  if (division === undefined || config === undefined) throw new TypeError('there is nothing to divide');
  if (!(await runs.rows[KIND].canDivide())) {
    const [key = 'shards'] = Object.keys(division);
    const message =
      'cannot be had: the database lacks what 20260101000012_shards.sql of supabase/migrations adds; leave it out';
    throw new InputError([{ key, message }]);
  }
  try {
    return await divideListing({ config, division, database: runs.database });
  } catch (error) {
    throw inTheRequestsWords(error, resolved);
  }
}

/**
 * Submits a run in shards: the row of the whole, then all rows of shards in one statement, then their jobs. A shard
 * whose job RunPod does not take has failed, and the others go on.
 * @throws RunPodError where it took none; InputError where a shard is too large.
 */
export async function submitShards(
  runs: Runs,
  { id, input, row }: Submission,
  shards: readonly NewShard[],
): Promise<SubmittedRun> {
  const rows = runs.rows[KIND];
  const parts = shards.map((shard) => ({ ...shard, id: randomUUID() }));
  for (const part of parts) refuseLarge(shardInput(input, part));
  const common = { status: BEFORE, runpod_endpoint_id: endpointOf(runs, KIND).id };
  const total = parts.reduce((sum, { images }) => sum + images, 0);
  await rows.add([
    {
      ...present(row),
      ...common,
      id,
      shard_count: parts.length,
      total_images: Math.min(total, MOST_IMAGES),
    },
  ]);
  const { job_type, source, embedding_model_id, purpose } = row;
  try {
    await rows.add(
      parts.map(({ id: shardId, shard, retry_failed_of, images }) => ({
        ...present({ job_type, source, embedding_model_id, purpose }),
        ...common,
        id: shardId,
        parent_job_id: id,
        shard_index: shard.index,
        total_images: Math.min(images, MOST_IMAGES),
        extraction_config: { shard, ...(retry_failed_of !== undefined && { retry_failed_of }) },
      })),
    );
  } catch (error) {
    await rows.endUnsubmitted(id, `the run was not divided: ${messageOf(error)}`);
    throw error;
  }
  return { id, kind: KIND, runpod_job_id: null, shards: await submitParts(runs, input, parts) };
}

/** Submits shards that have their rows. @throws RunPodError where none of them was taken. */
export async function submitParts(
  runs: Runs,
  whole: Record<string, unknown>,
  parts: readonly RunShard[],
): Promise<{ count: number; submitted: number }> {
  const rows = runs.rows[KIND];
  let submitted = 0;
  const refusals: unknown[] = [];
  const left: string[] = [];
  const submitOne = async (part: RunShard): Promise<true> => {
    if (submitted === 0 && refusals.length >= REFUSED_AT_FIRST) {
      left.push(part.id);
      return true;
    }
    try {
      // Whoever cancelled the run meanwhile does not want it to begin.
      if ((await rows.find(part.id))?.status !== BEFORE) return true;
      await submitJob(runs, { kind: KIND, id: part.id, input: shardInput(whole, part) });
      submitted += 1;
    } catch (error) {
      refusals.push(error);
      left.push(part.id);
    }
    return true;
  };
  for await (const _ of mapConcurrent(parts, SUBMITTED_AT_ONCE, submitOne));
  const [refusal] = refusals;
  if (left.length > 0) await rows.endUnsubmitted(left, notSubmitted(refusal));
  if (submitted === 0 && refusal !== undefined) throw toHandlerError(refusal);
  return { count: parts.length, submitted };
}
