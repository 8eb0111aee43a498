import { randomUUID } from 'node:crypto';

import { z } from 'zod';

import { messageOf, StoppedError, StoreError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { every, sleep } from '../flow/time.ts';
import { timeLimit } from '../flow/time-limit.ts';
import type { Database, Filter } from '../supabase/database.ts';

interface JobProgress {
  /** Done and failed together. */
  processed: number;
  /** Undefined until the images are counted. */
  total: number | undefined;
}

/** A job's row in `embedding_jobs`, held from start to end. */
export interface JobRow {
  readonly embeddingModelId: string | undefined;
  /**
   * Writes the last state; never over `cancelled`, and again where the API has overwritten it.
   * @throws StoppedError `superseded` where a later run of the job holds the row.
   */
  end(status: 'completed' | 'failed' | 'cancelled', errorMessage?: string): Promise<void>;
  /** Writes the progress and leaves the status `running`, so that the job can run again. */
  leave(signal: AbortSignal): Promise<void>;
  /** Writes nothing more: the row is another run's. */
  letGo(): Promise<void>;
}

export interface JobRowOptions {
  database: Database;
  jobId: string;
  progress: () => JobProgress;
  /** Told once when the page cancels the job, or a later run of it takes it over. */
  onStopped: (reason: StoppedError) => void;
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
/** The job is over and its row is written: reading it back is given up after so long. */
const SETTLE_LIMIT_MS = 15_000;
/** Someone who keeps writing over the last state is no late API call: it is left alone after so many repeats. */
const SETTLE_REPEATS = 5;
const ERROR_MESSAGE_CHARS = 1_000;

const STATE = z.object({
  status: z.string(),
  started_at: z.string().nullable(),
  total_images: z.number().nullable(),
  processed_images: z.number().nullable(),
  embedding_model_id: z.string().nullable(),
});
type State = z.infer<typeof STATE>;

const LEASE = z.object({ lease_holder: z.string().nullable() });

/** What the API may have written over ours. A state that ends a job is never taken back by mere progress. */
const UNFINISHED = ['pending', 'queued', 'running'];

/**
 * Marks the job `running` and keeps its row up to date, one write a second. From here on the row is this run's: it
 * carries a lease that each write asks for, so that of two runs of one job the later writes, and the earlier learns
 * within one interval that it is superseded and writes no more. A database without the column has no lease.
 * @throws StoppedError `cancelled` when the page has cancelled the job already.
 */
export async function openJobRow(options: JobRowOptions): Promise<JobRow> {
  const { database, jobId, log, warn } = options;
  const { intervalMs = PROGRESS_INTERVAL_MS, settleMs = SETTLE_MS } = options;
  const begun = performance.now();
  const mine: Filter = { column: 'id', op: 'eq', value: jobId };

  const read = (signal?: AbortSignal): Promise<State | undefined> =>
    database.find({
      table: 'embedding_jobs',
      columns: 'status,started_at,total_images,processed_images,embedding_model_id',
      schema: STATE,
      filters: [mine],
      signal,
    });
  const stop = (code: 'cancelled' | 'superseded'): StoppedError => {
    const what = code === 'cancelled' ? 'was cancelled' : 'was taken over by a later run of it';
    const stopped = new StoppedError(code, `job ${jobId} ${what}`);
    options.onStopped(stopped);
    return stopped;
  };

  const first = await read();
  if (first === undefined) warn(`embedding_jobs has no row ${jobId}: progress is not written`);
  if (first?.status === 'cancelled') throw stop('cancelled');
  const before = shownBefore(first);

  const lease: Filter = { column: 'lease_holder', op: 'eq', value: randomUUID() };
  let held: Filter[] = [];

  /** Writes where the filters let it; what stops the job where it may not write any more. */
  const write = async (
    values: object,
    filter: Filter,
    signal?: AbortSignal,
  ): Promise<'cancelled' | 'superseded' | undefined> => {
    const changed = await database.update({
      table: 'embedding_jobs',
      values: { ...values },
      filters: [mine, filter, ...held],
      signal,
    });
    if (changed > 0) return undefined;
    if ((await read(signal))?.status === 'cancelled') return 'cancelled';
    return (await isSuperseded(signal)) ? 'superseded' : undefined;
  };

  const isSuperseded = async (signal?: AbortSignal): Promise<boolean> => {
    if (held.length === 0) return false;
    const row = await database.find({
      table: 'embedding_jobs',
      columns: 'lease_holder',
      schema: LEASE,
      filters: [mine],
      signal,
    });
    return row !== undefined && row.lease_holder !== lease.value;
  };

  /** Nothing of an earlier run is asked for: the later one has the job. */
  const takeOver = async (values: object): Promise<void> => {
    try {
      await write({ ...values, lease_holder: lease.value }, unlessCancelled);
      held = [lease];
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'supabase_missing_column') throw error;
      warn(
        'embedding_jobs has no column lease_holder: two runs of one job would not know of each other; apply supabase/migrations',
      );
      await write(values, unlessCancelled);
    }
  };
  const unlessCancelled: Filter = { column: 'status', op: 'neq', value: 'cancelled' };
  const running = () => ({ status: 'running', ...shownNow(options.progress(), before) });

  await takeOver({
    ...running(),
    error_message: null,
    completed_at: null,
    ...(typeof first?.started_at === 'string' ? {} : { started_at: new Date().toISOString() }),
  });

  const ended = new AbortController();
  let silent = false;
  const ticker = every(
    intervalMs,
    async () => {
      const unfinished: Filter = { column: 'status', op: 'in', value: UNFINISHED };
      const stopped = await write(running(), unfinished, ended.signal);
      if (stopped !== undefined) stop(stopped);
      silent = false;
    },
    (error) => {
      if (!silent && !ended.signal.aborted) {
        log.warn('progress could not be written; trying again', { error: messageOf(error) });
      }
      silent = true;
    },
  );
  const stopTicking = async (): Promise<void> => {
    ended.abort(new StoppedError('shutdown', 'the job is over'));
    await ticker.stop();
  };

  /** Reads the last write back for as long as the API may still write over it. */
  const settle = async (status: string, values: object, signal: AbortSignal): Promise<void> => {
    for (let repeats = 0; repeats < SETTLE_REPEATS;) {
      const now = (await read(signal))?.status;
      if (now === undefined || now === 'cancelled') return;
      if (now !== status) {
        repeats += 1;
        log.debug('the job row was overwritten; writing it again', { found: now });
        if ((await write(values, unlessCancelled, signal)) !== undefined) return;
      } else if (performance.now() - begun >= settleMs) {
        return;
      }
      await sleep(SETTLE_POLL_MS, signal);
    }
  };

  return {
    letGo: stopTicking,
    embeddingModelId: first?.embedding_model_id ?? undefined,
    async end(status, errorMessage) {
      await stopTicking();
      const now = shownNow(options.progress(), before);
      const values = {
        status,
        ...now,
        // Everything was answered: what an earlier run has done of it is in the total, and done.
        ...(status === 'completed' && { processed_images: now.total_images }),
        completed_at: new Date().toISOString(),
        error_message: errorMessage?.slice(0, ERROR_MESSAGE_CHARS) ?? null,
      };
      const stopped = await write(values, unlessCancelled);
      if (stopped === 'superseded') throw stop(stopped);
      if (stopped !== undefined) return;
      using limit = timeLimit(SETTLE_LIMIT_MS, undefined);
      await settle(status, values, limit.signal).catch((error: unknown) => {
        log.warn("the job's last state was written; whether it stands could not be read", {
          error: messageOf(error),
        });
      });
    },
    async leave(signal) {
      await stopTicking();
      await write(running(), unlessCancelled, signal);
    },
  };
}

interface Shown {
  total_images: number;
  processed_images: number;
}

/** What a run that was cut off has shown on the page; a job that begins anew has shown nothing. */
function shownBefore(row: State | undefined): Shown {
  const resumed = row?.status === 'running';
  return {
    total_images: resumed ? (row.total_images ?? 0) : 0,
    processed_images: resumed ? (row.processed_images ?? 0) : 0,
  };
}

/**
 * What the page shows never falls, though the run after a crash may find fewer images left, or do them all again. While
 * nothing has been counted, the API's own numbers stand.
 */
function shownNow({ processed, total }: JobProgress, before: Shown): Partial<Shown> {
  if (total === undefined) return {};
  return {
    total_images: Math.max(total, before.total_images),
    processed_images: Math.max(processed, before.processed_images),
  };
}
