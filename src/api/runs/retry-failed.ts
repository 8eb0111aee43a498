import { randomUUID } from 'node:crypto';

import { z } from 'zod';

import { HandlerError, InputError } from '../../base/errors.ts';
import { parseEmbeddingInput } from '../../embedding/input.ts';
import { END_STATES } from './run-kinds.ts';
import { findRun, type Runs } from './runs.ts';
import { submit, type SubmittedRun } from './submit.ts';

const ROW = z.object({
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

export interface RetryOptions {
  /** Of a rebuild that goes on: so many of its images may have failed, in the place of what it was submitted with. */
  maxFailedShare?: number | undefined;
}

/**
 * Submits a run of its own for the images that failed in another one, and for no others: same model, same collections.
 * Where the other was to fill collections anew and has not switched to them, its rebuild goes on: what it has filled is
 * not embedded again, and all of it is checked and switched to in the end.
 * @throws HandlerError `run_not_found`; `run_not_ended`; `nothing_to_retry` where no image failed, or not one by one;
 * `not_submitted_here` where nobody has kept what was asked for. InputError for an option that nobody would read.
 */
export async function retryFailed(
  runs: Runs,
  id: string,
  { maxFailedShare }: RetryOptions = {},
): Promise<SubmittedRun & { collections: string[] }> {
  const { kind, run } = await findRun(runs, id);
  if (kind !== 'embedding')
    throw new HandlerError('nothing_to_retry', `run ${id} trains a classifier: it has no images of its own`);
  if (!END_STATES.some((state) => state === run.status))
    throw new HandlerError(
      'run_not_ended',
      `run ${id} is ${run.status}: its failed images are not known yet`,
    );
  const row = await rowOf(runs, id);
  const { input: before, ...config } = row.extraction_config;
  const { rebuild, ...plain } = before;
  const goesOn = rebuild !== undefined && run.status !== 'completed';
  if (!goesOn && !(await hasFailures(runs, id)))
    throw new HandlerError('nothing_to_retry', `run ${id} has no images that failed`);
  if (!goesOn && maxFailedShare !== undefined) {
    const message = `is not read, as run ${id} has no collection left to switch to; leave it out`;
    throw new InputError([{ key: 'max_failed_share', message }]);
  }
  const share = maxFailedShare === undefined ? {} : { max_failed_share: maxFailedShare };
  const retry = randomUUID();
  const input = {
    ...plain,
    job_id: retry,
    ...(goesOn ? { rebuild: { id, ...rebuild, ...share } } : { retry_failed_of: id }),
  };
  parseEmbeddingInput(input);
  const submitted = await submit(runs, {
    kind,
    id: retry,
    input: { ...input, ...runs.credentials },
    row: {
      ...row,
      job_type: 'incremental',
      extraction_config: { ...config, input, retry_failed_of: id },
    },
  });
  return { ...submitted, collections: row.collection_names ?? [] };
}

async function rowOf({ database }: Runs, id: string): Promise<z.infer<typeof ROW>> {
  const found = await database.find({
    table: 'embedding_jobs',
    columns: Object.keys(ROW.shape).join(','),
    schema: ANY_CONFIG,
    filters: [{ column: 'id', op: 'eq', value: id }],
  });
  const row = ROW.safeParse(found);
  if (row.success) return row.data;
  const message = `run ${id} was submitted by another program: what it was asked for is not known here`;
  throw new HandlerError('not_submitted_here', message);
}

async function hasFailures({ database }: Runs, id: string): Promise<boolean> {
  const failure = await database.find({
    table: 'embedding_job_failures',
    columns: 'id',
    schema: z.object({ id: z.number() }),
    filters: [{ column: 'job_id', op: 'eq', value: id }],
  });
  return failure !== undefined;
}
