import { randomUUID } from 'node:crypto';

import { z } from 'zod';

import { HandlerError } from '../../base/errors.ts';
import { parseEmbeddingInput } from '../../embedding/input.ts';
import { END_STATES } from './run-kinds.ts';
import type { Run } from './run-rows.ts';
import { findRun, type Runs } from './runs.ts';
import { readShards, shardInput } from './shard-input.ts';
import { submitParts, submitShards } from './submit-shards.ts';
import { submit, type SubmittedRun } from './submit.ts';

const ROW = z.object({
  source: z.string(),
  embedding_model_id: z.string().nullable(),
  purpose: z.string().nullable(),
  image_types: z.array(z.string()).nullable(),
  source_config: z.unknown(),
  collection_names: z.array(z.string()).nullable(),
  extraction_config: z.looseObject({ input: z.record(z.string(), z.unknown()) }),
});
const ANY_CONFIG = ROW.extend({ extraction_config: z.unknown() });
type AskedFor = z.infer<typeof ROW>;

type Retried = SubmittedRun & { collections: string[] };

/**
 * Runs again what failed in a run, and nothing else. Shards that failed, or one by its own id, are submitted again as
 * they are, in their own rows: they go on where they were. Otherwise the images that failed get a run of its own: same
 * model, same collections; of a divided run it has a shard for each that had any.
 * @throws HandlerError `run_not_found`; `run_not_ended`; `run_has_ended` where the run of a shard was cancelled;
 * `nothing_to_retry` where no image failed, or not one by one; `not_submitted_here` where nobody has kept what was asked
 * for.
 */
export async function retryFailed(runs: Runs, id: string): Promise<Retried> {
  const { kind, run } = await findRun(runs, id);
  if (kind !== 'embedding')
    throw new HandlerError('nothing_to_retry', `run ${id} trains a classifier: it has no images of its own`);
  if (!END_STATES.some((state) => state === run.status))
    throw new HandlerError(
      'run_not_ended',
      `run ${id} is ${run.status}: its failed images are not known yet`,
    );
  if (run.parent_job_id != null) return retryShard(runs, run, run.parent_job_id);
  if (run.shard_count != null) return retryWhole(runs, run);
  await needsFailures(runs, id);
  const row = await rowOf(runs, id);
  return retryImages(runs, { id, row, input: row.extraction_config.input });
}

async function retryShard(runs: Runs, run: Run, whole: string): Promise<Retried> {
  const row = await rowOf(runs, whole);
  const { input } = row.extraction_config;
  if (run.status !== 'completed') {
    const { status } = (await findRun(runs, whole)).run;
    if (status === 'cancelled')
      throw new HandlerError('run_has_ended', `run ${whole}, of which ${run.id} is a shard, was cancelled`);
    const shards = await submitAgain(runs, { whole, input, failed: [run] });
    return { id: run.id, kind: 'embedding', runpod_job_id: null, shards, collections: namesOf(row) };
  }
  await needsFailures(runs, run.id);
  const part = (await readShards(runs.database, { id: run.id })).get(run.id);
  if (part === undefined) throw notSubmittedHere(run.id);
  return retryImages(runs, { id: run.id, row, input: shardInput(input, part) });
}

async function retryWhole(runs: Runs, run: Run): Promise<Retried> {
  const { id } = run;
  const row = await rowOf(runs, id);
  const { input, ...config } = row.extraction_config;
  const collections = namesOf(row);
  const all = (await Array.fromAsync(runs.rows.embedding.shardsOf(id))).flat();
  const failed = all.filter(({ status }) => status === 'failed' || status === 'cancelled');
  if (run.status !== 'cancelled' && failed.length > 0) {
    const shards = await submitAgain(runs, { whole: id, input, failed });
    return { id, kind: 'embedding', runpod_job_id: null, shards, collections };
  }
  const withFailures = await runs.database.call({
    name: 'shards_with_failures',
    args: { whole: id },
    schema: z.array(z.string()),
  });
  if (withFailures.length === 0) throw nothingToRetry(id);
  const known = await readShards(runs.database, { whole: id });
  const shards = withFailures.flatMap((shardId) => {
    const part = known.get(shardId);
    return part === undefined ? [] : [{ shard: part.shard, retry_failed_of: shardId, images: 0 }];
  });
  const retry = randomUUID();
  const again = { ...input, job_id: retry };
  const submitted = await submitShards(
    runs,
    {
      kind: 'embedding',
      id: retry,
      input: { ...again, ...runs.credentials },
      row: {
        ...row,
        job_type: 'incremental',
        extraction_config: { ...config, input: again, retry_failed_of: id },
      },
    },
    shards,
  );
  return { ...submitted, collections };
}

/** Takes shards that ended badly back to before they were submitted, and submits them. */
async function submitAgain(
  runs: Runs,
  { whole, input, failed }: { whole: string; input: Record<string, unknown>; failed: readonly Run[] },
): Promise<{ count: number; submitted: number }> {
  const known = await readShards(runs.database, { whole });
  const parts = failed.map(({ id }) => {
    const part = known.get(id);
    if (part === undefined) throw notSubmittedHere(id);
    return part;
  });
  const taken = [];
  // One that somebody else takes back just now is submitted by them.
  for (const [i, run] of failed.entries())
    if (await runs.rows.embedding.takeBack(run)) taken.push(...parts.slice(i, i + 1));
  return submitParts(runs, { ...input, ...runs.credentials }, taken);
}

interface RetriedImages {
  id: string;
  row: AskedFor;
  input: Record<string, unknown>;
}

async function retryImages(runs: Runs, { id, row, input: before }: RetriedImages): Promise<Retried> {
  const { input: _, ...config } = row.extraction_config;
  const retry = randomUUID();
  const input = { ...before, job_id: retry, retry_failed_of: id };
  parseEmbeddingInput(input);
  const submitted = await submit(runs, {
    kind: 'embedding',
    id: retry,
    input: { ...input, ...runs.credentials },
    row: {
      ...row,
      job_type: 'incremental',
      extraction_config: { ...config, input, retry_failed_of: id },
    },
  });
  return { ...submitted, collections: namesOf(row) };
}

function namesOf({ collection_names: names }: AskedFor): string[] {
  return names ?? [];
}

async function rowOf({ database }: Runs, id: string): Promise<AskedFor> {
  const found = await database.find({
    table: 'embedding_jobs',
    columns: Object.keys(ROW.shape).join(','),
    schema: ANY_CONFIG,
    filters: [{ column: 'id', op: 'eq', value: id }],
  });
  const row = ROW.safeParse(found);
  if (row.success) return row.data;
  throw notSubmittedHere(id);
}

function notSubmittedHere(id: string): HandlerError {
  const message = `run ${id} was submitted by another program: what it was asked for is not known here`;
  return new HandlerError('not_submitted_here', message);
}

async function needsFailures({ database }: Runs, id: string): Promise<void> {
  const failure = await database.find({
    table: 'embedding_job_failures',
    columns: 'id',
    schema: z.object({ id: z.number() }),
    filters: [{ column: 'job_id', op: 'eq', value: id }],
  });
  if (failure === undefined) throw nothingToRetry(id);
}

function nothingToRetry(id: string): HandlerError {
  return new HandlerError('nothing_to_retry', `run ${id} has no images that failed`);
}
