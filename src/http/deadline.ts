export interface Deadline {
  /** Aborts with the caller's own reason, or with `makeReason()` when the time is up. */
  signal: AbortSignal;
  /** Takes timer and listener away. Must be called. */
  clear(): void;
}

/**
 * A caller's signal and a time limit as one. Not `AbortSignal.any`: a job's signal lives as long as the job, and must
 * not collect one dependent signal for each image.
 */
export function createDeadline(
  signal: AbortSignal | undefined,
  ms: number,
  makeReason: () => Error,
): Deadline {
  const controller = new AbortController();
  const onAbort = (): void => {
    controller.abort(signal?.reason);
  };
  const timer = setTimeout(() => {
    controller.abort(makeReason());
  }, ms);
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}
