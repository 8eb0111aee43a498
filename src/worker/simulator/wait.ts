export interface WaitOptions {
  timeoutMs?: number;
  /** What is waited for, for the error's message. */
  what?: string;
}

const WAIT_MS = 30_000;

/** Resolves with what `check` finds, asked at once and whenever a listener is called. */
export async function waitFor<T>(
  check: () => T | undefined | false,
  listeners: Set<() => void>,
  { timeoutMs = WAIT_MS, what = 'what was waited for' }: WaitOptions,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const look = (): void => {
    try {
      const found = check();
      if (found !== undefined && found !== false) resolve(found);
    } catch (error) {
      reject(error);
    }
  };
  const timer = setTimeout(() => {
    reject(new Error(`${what} did not happen within ${String(timeoutMs)} ms`));
  }, timeoutMs);
  listeners.add(look);
  look();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    listeners.delete(look);
  }
}
