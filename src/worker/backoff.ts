import { MAX_RETRY_AFTER_MS } from '../flow/retry.ts';
import { sleep } from '../flow/time.ts';

/** An answer that comes sooner was no long poll: whoever asked again at once would ask thousands of times a second. */
const INSTANT_MS = 1_000;
const FIRST_DELAY_MS = 1_000;
/** Between answers that hold nothing and come at once: what a job waits for at most. */
const MAX_EMPTY_DELAY_MS = 2_000;
/** Between failures. */
const MAX_FAILED_DELAY_MS = 10_000;

/** How long a poll that is repeated waits: below two requests a second, whatever the other side does. */
export interface Backoff {
  reset(): void;
  /** After an answer with nothing in it. One that took its time is followed by the next request at once. */
  empty(tookMs: number, signal: AbortSignal): Promise<void>;
  /** After a failure; never shorter than the other side asked for, within MAX_RETRY_AFTER_MS. */
  failed(askedMs: number, signal: AbortSignal): Promise<void>;
}

export interface BackoffParts {
  /** Resolves after so long, or rejects when the signal aborts. */
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** From 0 to 1. */
  random?: () => number;
}

export function createBackoff({ wait = sleep, random = Math.random }: BackoffParts = {}): Backoff {
  let tries = 0;
  const pause = async (maxMs: number, leastMs: number, signal: AbortSignal): Promise<void> => {
    const ceiling = Math.min(maxMs, FIRST_DELAY_MS * 2 ** Math.min(tries, 10));
    tries += 1;
    // Equal jitter: half of it fixed, so that the rate has a bound.
    const delayMs = Math.max(leastMs, ceiling / 2 + (random() * ceiling) / 2);
    await wait(delayMs, signal).catch(() => undefined);
  };
  return {
    reset: () => {
      tries = 0;
    },
    async empty(tookMs, signal) {
      if (tookMs < INSTANT_MS) return pause(MAX_EMPTY_DELAY_MS, 0, signal);
      tries = 0;
    },
    failed: (askedMs, signal) => pause(MAX_FAILED_DELAY_MS, Math.min(askedMs, MAX_RETRY_AFTER_MS), signal),
  };
}
