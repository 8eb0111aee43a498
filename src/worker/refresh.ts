export interface RefreshParts {
  /** No more jobs are taken. */
  close: () => void;
  /** Resolves when none can arrive any more. */
  taken: () => Promise<unknown>;
  /** Jobs not answered yet, the one that asks included. */
  held: () => number;
  /** Resolves when that may have changed. */
  changed: () => Promise<void>;
}

/**
 * Decides which result tells the platform to replace the worker: the last one, since it takes the others with it.
 * Asked before each result is posted; waits where the results before it are still on their way.
 */
export function createRefresh(
  always: boolean,
  { close, taken, held, changed }: RefreshParts,
): (asked: boolean) => Promise<boolean> {
  let refreshing = false;
  let ready = 0;
  return async (asked) => {
    ready += 1;
    try {
      refreshing ||= always || asked;
      if (!refreshing) return false;
      close();
      await taken();
      // Whoever has others beside it that still run leaves it to them.
      if (ready < held()) return false;
      while (held() > 1) await changed();
      return true;
    } finally {
      ready -= 1;
    }
  };
}
