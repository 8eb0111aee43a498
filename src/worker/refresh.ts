import { abortable } from '../flow/time.ts';

export interface RefreshParts {
  /** No more jobs are taken. */
  close: () => void;
  /** Resolves when none can arrive any more. */
  taken: () => Promise<unknown>;
  /** Jobs whose outcome is still to come. */
  working: () => number;
  /** Jobs with an outcome that is not delivered yet, the one that asks included. */
  answering: () => number;
  /** Resolves when one of these may have changed. */
  changed: (signal: AbortSignal) => Promise<void>;
  /** The worker ends, replaced or not: no result waits for another. */
  ending: AbortSignal;
  /** How long a result is held back at most. */
  patienceMs?: number;
}

/** A result that does not get through must not take the others with it. */
const PATIENCE_MS = 5_000;

/**
 * Decides which result tells the platform to replace the worker: the last one, since it takes the others with it.
 * Asked before each result is posted; the last waits where others are still on their way, and says nothing where they
 * take too long: the worker ends all the same.
 */
export function createRefresh(
  always: boolean,
  { close, taken, working, answering, changed, ending, patienceMs = PATIENCE_MS }: RefreshParts,
): (asked: boolean) => Promise<boolean> {
  let refreshing = false;
  let isLastFound = false;
  return async (asked) => {
    refreshing ||= always || asked;
    if (!refreshing) return false;
    const limit = AbortSignal.any([ending, AbortSignal.timeout(patienceMs)]);
    // It changes while this waits, which the compiler does not see.
    const isOver = (): boolean => limit.aborted;
    close();
    await abortable(taken(), limit).catch(() => undefined);
    if (isOver() || isLastFound || working() > 0) return false;
    isLastFound = true;
    while (answering() > 1 && !isOver()) await changed(limit);
    isLastFound = answering() <= 1;
    return isLastFound;
  };
}
