import { type HandlerError, StoppedError } from '../base/errors.ts';

export interface StopOptions {
  reason: StoppedError;
  /** How long the handler has to end by itself before the job is given up. */
  handlerMs: number;
  /** How long its result may still be delivered, from now on; without, as long as it takes. */
  deliveryMs?: number;
}

/** What can happen to one job from outside: cancel, time-out, shutdown, a process that cannot go on. */
export interface JobControl {
  /** When the job was taken, on the clock of `performance`: its time runs from then on. */
  readonly since: number;
  /** The handler's. Its reason is a StoppedError: the first of those that came. */
  readonly signal: AbortSignal;
  /** Ends the delivery of what the job gave. */
  readonly delivery: AbortSignal;
  /** Rejects when the handler is waited for no longer. */
  readonly givenUp: Promise<never>;
  /** The platform has ended the job and wants no result. */
  readonly cancelled: boolean;
  /** The handler has ended, or is waited for no longer: what is left is to deliver the result. */
  readonly settled: boolean;
  settle(): void;
  stop(options: StopOptions): void;
  cancel(handlerMs: number): void;
  giveUp(error: HandlerError): void;
  dispose(): void;
}

export function createJobControl(): JobControl {
  const handler = new AbortController();
  const delivery = new AbortController();
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  givenUp.catch(() => undefined);
  const timers = new Set<NodeJS.Timeout>();
  const later = (ms: number, run: () => void): void => {
    timers.add(setTimeout(run, ms));
  };
  let cancelled = false;
  let settled = false;

  const stop = ({ reason, handlerMs, deliveryMs }: StopOptions): void => {
    const { code, message, retryable } = reason;
    handler.abort(new StoppedError(code, message, { retryable, cause: reason, graceMs: handlerMs }));
    later(handlerMs, () => reject(reason));
    if (deliveryMs !== undefined) later(deliveryMs, () => delivery.abort(reason));
  };
  return {
    since: performance.now(),
    signal: handler.signal,
    delivery: delivery.signal,
    givenUp,
    get cancelled() {
      return cancelled;
    },
    get settled() {
      return settled;
    },
    settle() {
      settled = true;
    },
    stop,
    cancel(handlerMs) {
      if (cancelled) return;
      cancelled = true;
      const reason = new StoppedError('cancelled', 'the job was cancelled');
      delivery.abort(reason);
      stop({ reason, handlerMs });
    },
    giveUp: reject,
    dispose() {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
