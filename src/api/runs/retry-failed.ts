import { randomUUID } from 'node:crypto';

import { z } from 'zod';

import { HandlerError, InputError } from '../../base/errors.ts';
import { parseEmbeddingInput } from '../../embedding/input.ts';
import { END_STATES } from './run-kinds.ts';
import type { Run } from './run-rows.ts';
import { findRun, type Runs } from './runs.ts';
import { readShards, shardInput } from './shard-input.ts';
import type { Submission } from './submit-job.ts';
import { submitParts, submitShards, type NewShard } from './submit-shards.ts';
import { submit, type SubmittedRun } from './submit.ts';

const ROW = z.object({
  status: z.string(),
  source: z.string(),
  embedding_model_id: z.string().nullable(),
  purpose: z.string().nullable(),
  image_types: z.array(z.string()).nullable(),
  source_config: z.unknown(),
  collection_names: z.array(z.string()).nullable(),
  extraction_config: z.looseObject({
    input: z.looseObject({ rebuild: z.record(z.string(), z.unknown()).optional() }),
  }),
});
const ANY_CONFIG = ROW.extend({ extraction_config: z.unknown() });
type AskedFor = z.infer<typeof ROW>;
type Input = AskedFor['extraction_config']['input'];

type Retried = SubmittedRun & { collections: string[] };

export interface RetryOptions {
  /** Of a rebuild that goes on: so many of its images may have failed, in the place of what it was submitted with. */
  maxFailedShare?: number | undefined;
}

/**
 * Runs again what failed in a run, and nothing else. Shards that failed, or one by its own id, are submitted again as
 * they are, in their own rows: they go on where they were. Otherwise the images that failed get a run of its own: same
 * model, same collections; of a divided run it has a shard for each that had any.
 * Where the run was to fill collections anew and has not switched to them, its rebuild goes on: what it has filled is
 * not embedded again, and all of it is checked and switched to in the end.
 * @throws HandlerError `run_not_found`; `run_not_ended`; `run_has_ended` where the run of a shard was cancelled;
 * `nothing_to_retry` where no image failed, or not one by one; `not_submitted_here` where nobody has kept what was asked
 * for. InputError for an option that nobody would read.
 */
export async function retryFailed(runs: Runs, id: string, options: RetryOptions = {}): Promise<Retried> {
  const { kind, run } = await findRun(runs, id);
  if (kind !== 'embedding')
    throw new HandlerError('nothing_to_retry', `run ${id} trains a classifier: it has no images of its own`);
  if (!END_STATES.some((state) => state === run.status))
    throw new HandlerError(
      'run_not_ended',
      `run ${id} is ${run.status}: its failed images are not known yet`,
    );
  const row = withShare(id, await rowOf(runs, run.parent_job_id ?? id), options);
  if (run.parent_job_id != null) return retryShard(runs, run, run.parent_job_id, row);
  if (run.shard_count != null) return retryWhole(runs, run, row);
  return retryAlone(runs, { id, row, input: row.extraction_config.input });
}

/** Of a run that fills collections anew, they do not serve before it is completed. */
function isRebuilding({ status, extraction_config: { input } }: AskedFor): boolean {
  return input.rebuild !== undefined && status !== 'completed';
}

function withShare(id: string, row: AskedFor, { maxFailedShare }: RetryOptions): AskedFor {
  if (maxFailedShare === undefined) return row;
  if (!isRebuilding(row)) {
    const message = `is not read, as run ${id} has no collection left to switch to; leave it out`;
    throw new InputError([{ key: 'max_failed_share', message }]);
  }
  const { input, ...config } = row.extraction_config;
  const rebuild = { ...input.rebuild, max_failed_share: maxFailedShare };
  return { ...row, extraction_config: { ...config, input: { ...input, rebuild } } };
}

async function retryShard(runs: Runs, run: Run, whole: string, row: AskedFor): Promise<Retried> {
  if (run.status !== 'completed' || isRebuilding(row)) {
    if (row.status === 'cancelled')
      throw new HandlerError('run_has_ended', `run ${whole}, of which ${run.id} is a shard, was cancelled`);
    if (run.status === 'completed') await needsFailures(runs, run.id);
    return { ...(await submitAgain(runs, whole, row, [run])), id: run.id };
  }
  const part = (await readShards(runs.database, { id: run.id })).get(run.id);
  if (part === undefined) throw notSubmittedHere(run.id);
  const { rebuild: _, ...input } = shardInput(row.extraction_config.input, part);
  return retryAlone(runs, { id: run.id, row, input });
}

async function retryWhole(runs: Runs, { id }: Run, row: AskedFor): Promise<Retried> {
  const all = (await Array.fromAsync(runs.rows.embedding.shardsOf(id))).flat();
  const withFailures = await runs.database.call({
    name: 'shards_with_failures',
    args: { whole: id },
    schema: z.array(z.string()),
  });
  const isToRetry = ({ id: shard, status }: Run): boolean =>
    status !== 'completed' || (isRebuilding(row) && withFailures.includes(shard));
  const again = all.filter(isToRetry);
  if (row.status !== 'cancelled' && again.length > 0) return submitAgain(runs, id, row, again);

  const known = await readShards(runs.database, { whole: id });
  const { rebuild, ...plain } = row.extraction_config.input;
  if (isRebuilding(row)) {
    const shards = [...known.values()].map(({ shard }) => ({ shard, images: 0 }));
    const goesOn = { ...plain, rebuild: { id, ...rebuild } };
    return { ...(await submitNew(runs, { id, row, input: goesOn }, shards)), collections: namesOf(row) };
  }
  if (withFailures.length === 0) throw nothingToRetry(id);
  const shards = withFailures.flatMap((shardId) => {
    const part = known.get(shardId);
    return part === undefined ? [] : [{ shard: part.shard, retry_failed_of: shardId, images: 0 }];
  });
  return { ...(await submitNew(runs, { id, row, input: plain }, shards)), collections: namesOf(row) };
}

/** Takes shards back to before they were submitted, and submits them. */
async function submitAgain(runs: Runs, id: string, row: AskedFor, again: readonly Run[]): Promise<Retried> {
  const known = await readShards(runs.database, { whole: id });
  const parts = again.map((run) => {
    const part = known.get(run.id);
    if (part === undefined) throw notSubmittedHere(run.id);
    return { run, part };
  });
  const taken = [];
  // One that somebody else takes back just now is submitted by them.
  for (const { run, part } of parts) if (await runs.rows.embedding.takeBack(run)) taken.push(part);
  const input = { ...row.extraction_config.input, ...runs.credentials };
  const shards = await submitParts(runs, input, taken);
  return { id, kind: 'embedding', runpod_job_id: null, shards, collections: namesOf(row) };
}

interface RetriedRun {
  id: string;
  row: AskedFor;
  input: Input;
}

async function retryAlone(runs: Runs, { id, row, input: before }: RetriedRun): Promise<Retried> {
  const { rebuild, ...plain } = before;
  const goesOn = rebuild !== undefined && isRebuilding(row);
  if (!goesOn) await needsFailures(runs, id);
  const more = goesOn ? { rebuild: { id, ...rebuild } } : { retry_failed_of: id };
  const submitted = await submitNew(runs, { id, row, input: { ...plain, ...more } });
  return { ...submitted, collections: namesOf(row) };
}

/** A run of its own, with what this one was asked for. */
async function submitNew(
  runs: Runs,
  { id, row, input: asked }: RetriedRun,
  shards?: readonly NewShard[],
): Promise<SubmittedRun> {
  const retry = randomUUID();
  const input = { ...asked, job_id: retry };
  parseEmbeddingInput(input);
  const { status: _, ...columns } = row;
  const submission: Submission = {
    kind: 'embedding',
    id: retry,
    input: { ...input, ...runs.credentials },
    row: {
      ...columns,
      job_type: 'incremental',
      extraction_config: { ...row.extraction_config, input, retry_failed_of: id },
    },
  };
  return shards === undefined ? submit(runs, submission) : submitShards(runs, submission, shards);
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
