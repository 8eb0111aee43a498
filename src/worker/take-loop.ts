import { HttpError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { createBackoff, type Backoff } from './backoff.ts';
import { LIMIT_RECHECK_MS, type JobPool } from './job-pool.ts';
import type { Platform } from './platform.ts';

interface LoopParts {
  platform: Platform;
  pool: JobPool;
  log: Log;
  /** Ends the loop. */
  signal: AbortSignal;
  backoff?: Backoff;
}

/**
 * Takes jobs as long as there are places, one long poll at a time, until told to stop; what still arrives then is added
 * all the same. @throws what the pool's limit throws.
 */
export async function takeJobs({
  platform,
  pool,
  log,
  signal,
  backoff = createBackoff(),
}: LoopParts): Promise<void> {
  // It changes while a request is under way, which the compiler does not see.
  const isOver = (): boolean => signal.aborted;
  while (!signal.aborted) {
    const free = pool.free();
    if (free < 1) {
      await pool.changed(LIMIT_RECHECK_MS, signal);
      continue;
    }
    const begun = performance.now();
    try {
      const jobs = await platform.take(free, pool.size > 0, signal);
      if (jobs.length > 0) {
        backoff.reset();
        pool.add(jobs);
      } else {
        await backoff.empty(performance.now() - begun, signal);
      }
    } catch (error) {
      if (isOver()) return;
      await afterFailure(error, performance.now() - begun);
    }
  }

  async function afterFailure(error: unknown, tookMs: number): Promise<void> {
    if (!(error instanceof HttpError)) throw error;
    if (error.code === 'timeout') return backoff.empty(tookMs, signal);
    log.warn('Taking a job failed', { reason: messageOf(error) });
    await backoff.failed(error.retryAfterMs ?? 0, signal);
  }
}

/** Hears which jobs the platform has ended, until told to stop. */
export async function hearStops({
  platform,
  pool,
  log,
  signal,
  backoff = createBackoff(),
}: LoopParts): Promise<void> {
  const isOver = (): boolean => signal.aborted;
  while (!signal.aborted) {
    const begun = performance.now();
    try {
      const ids = await platform.stops(signal);
      pool.cancel(ids);
      if (ids.length > 0) backoff.reset();
      else await backoff.empty(performance.now() - begun, signal);
    } catch (error) {
      if (isOver()) return;
      const isTimeout = error instanceof HttpError && error.code === 'timeout';
      if (isTimeout) continue;
      log.debug('Asking which jobs to stop failed', { reason: messageOf(error) });
      await backoff.failed(error instanceof HttpError ? (error.retryAfterMs ?? 0) : 0, signal);
    }
  }
}
