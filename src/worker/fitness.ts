import { HandlerError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { abortable } from '../flow/time.ts';
import { timeLimit } from '../flow/time-limit.ts';
import { shortly } from './result.ts';

/** One thing that must hold before a worker takes its first job. */
export interface FitnessCheck {
  name: string;
  /** Rejects where it does not hold, with a message that says what to do. */
  check: (signal: AbortSignal) => Promise<void>;
}

export interface Unfit {
  check: string;
  reason: string;
}

/** A driver that loads and a store that wakes up, together. */
const CHECK_TIMEOUT_MS = 60_000;

/** Runs the checks side by side; the first one in order that fails, with its reason, or undefined where all hold. */
export async function findUnfit(
  checks: readonly FitnessCheck[],
  { log, signal }: { log: Log; signal: AbortSignal },
  timeoutMs = CHECK_TIMEOUT_MS,
): Promise<Unfit | undefined> {
  const results = await Promise.all(
    checks.map(async ({ name, check }) => {
      using limit = timeLimit(timeoutMs, signal, () => {
        return new HandlerError('check_timed_out', `it gave no answer within ${String(timeoutMs)} ms`);
      });
      try {
        await abortable(check(limit.signal), limit.signal);
        return undefined;
      } catch (error) {
        signal.throwIfAborted();
        log.error('This worker is not fit for work', { check: name, error });
        return { check: name, reason: shortly(error) };
      }
    }),
  );
  return results.find((result) => result !== undefined);
}
