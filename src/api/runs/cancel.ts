import { HandlerError, messageOf } from '../../base/errors.ts';
import { mapConcurrent } from '../../flow/streams.ts';
import type { RunKindName } from './run-kinds.ts';
import type { Run } from './run-rows.ts';
import { endpointOf, findRun, type Runs } from './runs.ts';

const CANCELLED_AT_ONCE = 8;

export interface CancelledRun {
  id: string;
  kind: RunKindName;
  status: 'cancelled';
  /** Has RunPod ended the job too? Where not, its worker sees the row, and stops by itself. */
  ended_at_runpod: boolean;
}

/**
 * Cancels a run: its row first, which no worker writes over, then its job, or those of all its shards. A run that is
 * cancelled already stays so.
 * @throws HandlerError `run_not_found`; `run_has_ended` where it was completed or has failed.
 */
export async function cancelRun(runs: Runs, id: string): Promise<CancelledRun> {
  const { kind, run } = await findRun(runs, id);
  const rows = runs.rows[kind];
  // Submitted in between: then the row's id is another one.
  const isCancelled =
    (await rows.end(run, { state: 'cancelled' })) ||
    (await rows.end((await rows.find(id)) ?? run, { state: 'cancelled' }));
  const now = isCancelled ? 'cancelled' : (await rows.find(id))?.status;
  if (now !== 'cancelled')
    throw new HandlerError('run_has_ended', `run ${id} is ${now ?? 'gone'}: there is nothing to cancel`);
  if (run.shard_count != null)
    return { id, kind, status: 'cancelled', ended_at_runpod: await cancelShards(runs, id) };
  const { runpod_job_id: jobId } = (await rows.find(id)) ?? run;
  return { id, kind, status: 'cancelled', ended_at_runpod: await cancelJob(runs, kind, jobId) };
}

/** True where all jobs have ended. */
async function cancelShards(runs: Runs, id: string): Promise<boolean> {
  // The database has cancelled them with their run, but for those that were being written just then.
  await runs.rows.embedding.cancelShards(id);
  let allEnded = true;
  for await (const page of runs.rows.embedding.shardsOf(id)) {
    const cancelled = page.filter(({ status }) => status !== 'completed' && status !== 'failed');
    const end = ({ runpod_job_id: jobId }: Run): Promise<boolean> => cancelJob(runs, 'embedding', jobId);
    for await (const ended of mapConcurrent(cancelled, CANCELLED_AT_ONCE, end)) allEnded &&= ended;
  }
  return allEnded;
}

async function cancelJob(runs: Runs, kind: RunKindName, jobId: string | null): Promise<boolean> {
  // Whoever submits it right now sees the row, and cancels the job.
  if (jobId === null) return false;
  try {
    return await endpointOf(runs, kind).cancel(jobId);
  } catch (error) {
    runs.log.warn('A cancelled run could not be cancelled at RunPod', {
      runpodJobId: jobId,
      reason: messageOf(error),
    });
    return false;
  }
}
