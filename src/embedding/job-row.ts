import { z } from 'zod';

import { messageOf, StoppedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { every, sleep } from '../flow/time.ts';
import type { Database, Filter } from '../supabase/database.ts';

interface JobProgress {
  /** Done and failed together. */
  processed: number;
  total: number;
}

/** A job's row in `embedding_jobs`, held from start to end. */
export interface JobRow {
  readonly embeddingModelId: string | undefined;
  /** Writes the last state; never over `cancelled`, and again where the API has overwritten it. */
  end(status: 'completed' | 'failed' | 'cancelled', errorMessage?: string): Promise<void>;
  /** Writes the progress and leaves the status `running`, so that the job can run again. */
  leave(): Promise<void>;
}

export interface JobRowOptions {
  database: Database;
  jobId: string;
  progress: () => JobProgress;
  /** Told once when the page cancels the job. */
  onCancelled: (reason: StoppedError) => void;
  log: Log;
  warn: (message: string) => void;
  /** Time between two progress writes. */
  intervalMs?: number;
  /** For how long after the start the API may still write its own state over ours. */
  settleMs?: number;
}

const PROGRESS_INTERVAL_MS = 1_000;
const SETTLE_MS = 2_000;
const SETTLE_POLL_MS = 250;
/** Someone who keeps writing over the last state is no late API call: it is left alone after so many repeats. */
const SETTLE_REPEATS = 5;
const ERROR_MESSAGE_CHARS = 1_000;

const STATE = z.object({
  status: z.string(),
  started_at: z.string().nullable(),
  processed_images: z.number().nullable(),
  embedding_model_id: z.string().nullable(),
});

/**
 * Marks the job `running` and keeps its row up to date, one write a second.
 * @throws StoppedError `cancelled` when the page has cancelled the job already.
 */
export async function openJobRow(options: JobRowOptions): Promise<JobRow> {
  const { database, jobId, log, warn } = options;
  const { intervalMs = PROGRESS_INTERVAL_MS, settleMs = SETTLE_MS } = options;
  const begun = performance.now();
  const mine: Filter[] = [{ column: 'id', op: 'eq', value: jobId }];
  const unlessCancelled: Filter[] = [...mine, { column: 'status', op: 'neq', value: 'cancelled' }];

  const read = (): Promise<z.infer<typeof STATE> | undefined> =>
    database.find({
      table: 'embedding_jobs',
      columns: 'status,started_at,processed_images,embedding_model_id',
      schema: STATE,
      filters: mine,
    });
  const cancel = (): StoppedError => {
    const stopped = new StoppedError('cancelled', `job ${jobId} was cancelled`);
    options.onCancelled(stopped);
    return stopped;
  };

  const first = await read();
  if (first === undefined) warn(`embedding_jobs has no row ${jobId}: progress is not written`);
  if (first?.status === 'cancelled') throw cancel();
  // A job that runs again after a crash starts from nothing, but what the page shows never falls.
  const shownBefore = first?.status === 'running' ? (first.processed_images ?? 0) : 0;

  /** Writes a state that is ours; false where the page has cancelled the job. */
  const write = async (values: Record<string, unknown>): Promise<boolean> => {
    const { processed, total } = options.progress();
    // Before the images are counted, a job that runs again leaves what its first run has shown.
    const counted = total > 0 || values.status === 'completed';
    const shown = {
      total_images: total,
      processed_images: Math.max(processed, Math.min(shownBefore, total)),
    };
    const changed = await database.update({
      table: 'embedding_jobs',
      values: { ...values, ...((counted || shownBefore === 0) && shown) },
      filters: unlessCancelled,
    });
    return changed > 0 || (await read())?.status !== 'cancelled';
  };

  await write({
    status: 'running',
    error_message: null,
    completed_at: null,
    ...(typeof first?.started_at === 'string' ? {} : { started_at: new Date().toISOString() }),
  });

  let silent = false;
  const ticker = every(
    intervalMs,
    async () => {
      if (!(await write({ status: 'running' }))) cancel();
      silent = false;
    },
    (error) => {
      if (!silent) log.warn('progress could not be written; trying again', { error: messageOf(error) });
      silent = true;
    },
  );

  /** Reads the last write back for as long as the API may still write over it. */
  const settle = async (status: string, values: Record<string, unknown>): Promise<void> => {
    for (let repeats = 0; repeats < SETTLE_REPEATS;) {
      const now = (await read())?.status;
      if (now === undefined || now === 'cancelled') return;
      if (now !== status) {
        repeats += 1;
        log.debug('the job row was overwritten; writing it again', { found: now });
        await write(values);
      } else if (performance.now() - begun >= settleMs) {
        return;
      }
      await sleep(SETTLE_POLL_MS);
    }
  };

  return {
    embeddingModelId: first?.embedding_model_id ?? undefined,
    async end(status, errorMessage) {
      await ticker.stop();
      const values = {
        status,
        completed_at: new Date().toISOString(),
        error_message: errorMessage?.slice(0, ERROR_MESSAGE_CHARS) ?? null,
      };
      if (await write(values)) await settle(status, values);
    },
    async leave() {
      await ticker.stop();
      await write({ status: 'running' });
    },
  };
}
