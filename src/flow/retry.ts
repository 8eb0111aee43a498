import { HandlerError } from '../base/errors.ts';
import { sleep } from './time.ts';

export interface RetryOptions {
  /** Tries in all, the first included. */
  attempts?: number;
  signal?: AbortSignal | undefined;
  /** No further try is begun when it would start later than this after the first. */
  deadlineMs?: number;
  baseDelayMs?: number;
  maxDelayMs?: number;
  /**
   * What when the other side asks for a longer wait than the deadline allows: the error at once, as the next try would
   * be in vain (default), or a try all the same after MAX_RETRY_AFTER_MS.
   */
  insist?: boolean;
  onRetry?: (error: HandlerError, delayMs: number) => void;
}

const RETRY_ATTEMPTS = 4;
const BASE_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;

/** The longest wait that is believed: some servers ask for hours. */
export const MAX_RETRY_AFTER_MS = 60_000;

/** How long a database may be away before what was to be written is given up: a restart, a failover, an upgrade. */
export const STORE_PATIENCE_MS = 120_000;
const STORE_BASE_DELAY_MS = 250;
const STORE_MAX_DELAY_MS = 5_000;

/**
 * The one place where anything is tried again: only errors that say `retryable`, with exponential backoff and equal
 * jitter (half fixed, half random), and never sooner than the other side asked for, within MAX_RETRY_AFTER_MS. The last
 * error is rethrown.
 */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { attempts = RETRY_ATTEMPTS, signal, deadlineMs = Infinity, insist = false } = options;
  const { baseDelayMs = BASE_DELAY_MS, maxDelayMs = MAX_DELAY_MS } = options;
  const begun = performance.now();
  for (let tried = 1; ; tried += 1) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof HandlerError) || !error.retryable || tried >= attempts) throw error;
      const ceiling = Math.min(maxDelayMs, baseDelayMs * 2 ** (tried - 1));
      const askedMs = error.retryAfterMs ?? 0;
      const waitMs = Math.min(askedMs, MAX_RETRY_AFTER_MS);
      const delayMs = Math.max(ceiling / 2 + (Math.random() * ceiling) / 2, waitMs);
      const leftMs = deadlineMs - (performance.now() - begun);
      if (delayMs > leftMs || (askedMs > leftMs && !insist)) throw error;
      options.onRetry?.(error, delayMs);
      await sleep(delayMs, signal);
    }
  }
}

/** How the calls of a store are tried again: for as long as `patienceMs`, however often that is. */
export function storeRetry(patienceMs: number, signal: AbortSignal | undefined): RetryOptions {
  return {
    attempts: Infinity,
    deadlineMs: patienceMs,
    baseDelayMs: STORE_BASE_DELAY_MS,
    maxDelayMs: STORE_MAX_DELAY_MS,
    insist: true,
    signal,
  };
}
