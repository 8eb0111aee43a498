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
  onRetry?: (error: HandlerError, delayMs: number) => void;
}

const RETRY_ATTEMPTS = 4;
const BASE_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;

/**
 * The one place where anything is tried again: only errors that say `retryable`, with exponential backoff and equal
 * jitter (half fixed, half random), and never sooner than the other side asked for. The last error is rethrown.
 */
export async function retry<T>(attempt: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { attempts = RETRY_ATTEMPTS, signal, deadlineMs = Infinity } = options;
  const { baseDelayMs = BASE_DELAY_MS, maxDelayMs = MAX_DELAY_MS } = options;
  const begun = performance.now();
  for (let tried = 1; ; tried += 1) {
    signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof HandlerError) || !error.retryable || tried >= attempts) throw error;
      const ceiling = Math.min(maxDelayMs, baseDelayMs * 2 ** (tried - 1));
      const delayMs = Math.max(ceiling / 2 + (Math.random() * ceiling) / 2, error.retryAfterMs ?? 0);
      if (performance.now() - begun + delayMs > deadlineMs) throw error;
      options.onRetry?.(error, delayMs);
      await sleep(delayMs, signal);
    }
  }
}
