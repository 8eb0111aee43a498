import { setImmediate } from 'node:timers/promises';

import { HandlerError, messageOf, StoppedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import { createConcurrency, type Concurrency } from './concurrency.ts';
import { findUnfit, type FitnessCheck } from './fitness.ts';
import { createJobPool, type JobPool } from './job-pool.ts';
import { machineChecks } from './machine-checks.ts';
import type { Platform } from './platform.ts';
import { createRefresh } from './refresh.ts';
import type { WorkerIdentity } from './result.ts';
import { runJob } from './run-job.ts';
import { hearStops, takeJobs } from './take-loop.ts';
import type { AnyHandler } from './types.ts';

/** How a handler is served. */
export interface WorkerOptions {
  /** Jobs at once: a number, or a function of the load, applied at once. Default: 1. */
  concurrency?: Concurrency;
  /** After each job the worker ends and a fresh one takes its place. A handler asks for it by `refresh_worker` too. */
  refreshWorker?: boolean;
  /** The output of a generator is the list of all its pieces. Default: an empty list. */
  aggregateStream?: boolean;
  /** Beside those of memory and disk: all must hold before the first job is taken. */
  fitnessChecks?: readonly FitnessCheck[];
  /** From SIGTERM to the end: the handlers' time to wind up and what it takes to post their results. */
  shutdownGraceMs?: number;
}

export type WorkerSettings = Partial<
  Pick<
    Settings,
    Extract<keyof Settings, `RUNPOD_${string}`> | 'JOB_TIMEOUT_MS' | 'LOCAL_ENDPOINT_KEY' | 'LOG_LEVEL'
  >
>;

export interface WorkerParts {
  /** Closed at the end. */
  platform: Platform;
  identity: WorkerIdentity;
  /** Where a job says nothing itself. */
  jobTimeoutMs: number | undefined;
  log: Log;
  /** Aborted when the worker is to stop, with a StoppedError. */
  stop: AbortSignal;
}

/** What a container usually gets between SIGTERM and SIGKILL. */
const SHUTDOWN_GRACE_MS = 10_000;
/** More than a timer can hold would end it at once. */
const MAX_GRACE_MS = 2 ** 31 - 1;
/** Of that, what is kept for posting the results; of a short one, a quarter. */
const POSTING_MS = 2_000;
/** A worker that is to be replaced looks again after this whether all is answered, should nobody tell it. */
const REFRESH_RECHECK_MS = 1_000;
/** How long a handler has to end by itself after its time-out. */
const WIND_UP_MS = 5_000;

/**
 * A worker: takes jobs from the platform, runs them and posts one final result each, until it is told to stop, asked
 * for a fresh one, or cannot go on. @returns the exit code.
 * @throws SettingsError for a wrong option, before anything is taken.
 */
export async function runWorker(
  handler: AnyHandler,
  options: WorkerOptions,
  { platform, identity, jobTimeoutMs, log, stop }: WorkerParts,
): Promise<number> {
  try {
    const limit = createConcurrency(options.concurrency);
    const graceMs = graceOf(options);
    if (!(await isFit(platform, options, log, stop))) return 1;
    if (stop.aborted) return 0;
    await platform.ready();
    const closing = new AbortController();
    const ended = new AbortController();
    const refresh = createRefresh(options.refreshWorker ?? false, {
      close: () =>
        closeSoon(closing, new StoppedError('shutdown', 'a fresh worker takes the place of this one')),
      taken: () => taking.catch(() => undefined),
      working: () => pool.working,
      answering: () => pool.answering,
      changed: (signal) => pool.changed(REFRESH_RECHECK_MS, signal),
      ending: stop,
    });
    const pool = createJobPool({
      limit,
      platform,
      log,
      run: (job, control) =>
        runJob(job, control, {
          handler,
          platform,
          identity,
          log,
          timeoutMs: jobTimeoutMs,
          windUpMs: WIND_UP_MS,
          aggregateStream: options.aggregateStream ?? false,
          stopPod: platform.replacesWorkers ? refresh : () => Promise.resolve(false),
        }),
    });
    log.info('Ready for jobs', { worker: identity.workerId });
    const taking = takeJobs({ platform, pool, log, signal: closing.signal });
    const hearing = hearStops({ platform, pool, log, signal: ended.signal });
    const code = await untilEnd({ taking, closing, pool, stop, log, graceMs });
    ended.abort();
    await hearing;
    return code;
  } finally {
    await platform.close();
  }
}

interface Ending {
  taking: Promise<void>;
  closing: AbortController;
  pool: JobPool;
  stop: AbortSignal;
  log: Log;
  graceMs: number;
}

/** Resolves with the exit code when nothing is held any more. */
async function untilEnd({ taking, closing, pool, stop, log, graceMs }: Ending): Promise<number> {
  let code = 0;
  const onStop = (): void => {
    const reason =
      stop.reason instanceof StoppedError
        ? stop.reason
        : new StoppedError('shutdown', messageOf(stop.reason));
    const handlerMs = graceMs - Math.min(POSTING_MS, graceMs / 4);
    pool.stop({ reason, handlerMs, deliveryMs: graceMs });
    closeSoon(closing, reason);
  };
  const onFatal = (error: unknown): void => {
    log.error('This worker cannot go on: something failed outside of any job', { error });
    code = 1;
    const message = `the worker failed outside of the job: ${messageOf(error)}`;
    pool.giveUp(new HandlerError('worker_failed', message, { cause: error, retryable: true }));
    const reason = new StoppedError('shutdown', message);
    pool.stop({ reason, handlerMs: 0, deliveryMs: graceMs });
    closeSoon(closing, reason);
  };
  if (stop.aborted) onStop();
  stop.addEventListener('abort', onStop, { once: true });
  process.on('uncaughtException', onFatal);
  process.on('unhandledRejection', onFatal);
  try {
    await taking.catch((error: unknown) => {
      log.error('No more jobs are taken', { error });
      code = 1;
      closing.abort(error);
    });
    await pool.idle();
    return code;
  } finally {
    stop.removeEventListener('abort', onStop);
    process.off('uncaughtException', onFatal);
    process.off('unhandledRejection', onFatal);
  }
}

/** Ends the poll. What has arrived already is read before: a job may be among it. */
function closeSoon(closing: AbortController, reason: StoppedError): void {
  void setImmediate()
    .then(() => setImmediate())
    .then(() => closing.abort(reason));
}

async function isFit(
  platform: Platform,
  options: WorkerOptions,
  log: Log,
  stop: AbortSignal,
): Promise<boolean> {
  const checks = [...machineChecks(), ...(options.fitnessChecks ?? [])];
  const unfit = await findUnfit(checks, { log, signal: stop }).catch((error: unknown) => {
    if (!stop.aborted) throw error;
    return undefined;
  });
  if (unfit === undefined) return true;
  await platform.unhealthy(unfit.check, unfit.reason).catch((error: unknown) => {
    log.error('The platform could not be told', { error });
  });
  return false;
}

function graceOf({ shutdownGraceMs = SHUTDOWN_GRACE_MS }: WorkerOptions): number {
  if (shutdownGraceMs >= 0 && shutdownGraceMs <= MAX_GRACE_MS) return shutdownGraceMs;
  const message = `shutdownGraceMs: expected milliseconds from 0 to ${MAX_GRACE_MS}`;
  throw new HandlerError('invalid_settings', message);
}
