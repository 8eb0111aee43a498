export interface TimeLimit extends Disposable {
  /** Aborts with the other signal's own reason, or with `makeReason()` when the time is up. */
  readonly signal: AbortSignal;
  /** Was it the time, and not the other signal? */
  expired(): boolean;
}

/**
 * A signal and a time limit as one; takes timer and listener away when disposed of. Not `AbortSignal.any`: a job's
 * signal lives as long as the job, and must not collect one dependent signal for each request.
 */
export function timeLimit(ms: number, signal: AbortSignal | undefined, makeReason?: () => Error): TimeLimit {
  const controller = new AbortController();
  let expired = false;
  const onAbort = (): void => {
    controller.abort(signal?.reason);
  };
  const timer = setTimeout(() => {
    expired = !controller.signal.aborted;
    controller.abort(makeReason?.());
  }, ms);
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    expired: () => expired,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}
