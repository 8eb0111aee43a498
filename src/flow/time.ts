/** Waits; rejects with the signal's reason as soon as it aborts. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => {
    resolve(undefined);
  }, ms);
  try {
    await abortable(promise, signal);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The promise's outcome, or the signal's reason if that comes first. The work behind the promise is not stopped by
 * this; its later failure is ignored.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    reject(signal.reason as Error);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * A signal that follows another with a delay, which may depend on the reason: what is under way when the first one
 * aborts has so long to end by itself. Without a delay it follows at once. It keeps no process alive; `release` when
 * nothing depends on it any more.
 */
export function lingering(
  signal: AbortSignal,
  delayMs: (reason: unknown) => number,
): { signal: AbortSignal; release: () => void } {
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    const ms = delayMs(signal.reason);
    if (ms <= 0) late.abort(signal.reason);
    else timer = setTimeout(() => late.abort(signal.reason), ms).unref();
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  const release = (): void => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  };
  return { signal: late.signal, release };
}

export interface Ticker {
  /** Ends the ticking; resolves when a running task has ended too. */
  stop(): Promise<void>;
}

/** Runs the task again and again, never twice at once, with at least this long between its starts. */
export function every(
  intervalMs: number,
  task: () => Promise<void>,
  onError: (error: unknown) => void,
): Ticker {
  const stopped = new AbortController();
  const loop = async (): Promise<void> => {
    for (;;) {
      await sleep(intervalMs, stopped.signal).catch(() => undefined);
      if (stopped.signal.aborted) return;
      await task().catch(onError);
    }
  };
  const running = loop();
  return {
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}
