import { timeLimit } from '../flow/time-limit.ts';

export interface Deadline {
  /** Aborts with the caller's own reason, or with `makeReason()` when the time is up. */
  signal: AbortSignal;
  /** Takes timer and listener away. Must be called. */
  clear(): void;
}

/** A caller's signal and a time limit as one, where `using` does not fit. */
export function createDeadline(
  signal: AbortSignal | undefined,
  ms: number,
  makeReason: () => Error,
): Deadline {
  const limit = timeLimit(ms, signal, makeReason);
  return { signal: limit.signal, clear: () => limit[Symbol.dispose]() };
}
