import { StoppedError } from '../base/errors.ts';
import type { JobContext } from '../worker/types.ts';
import { stopTimes } from './stop-times.ts';

/** What tells a job to stop: its context, or something that it came upon itself. */
export interface JobStop {
  /** Aborts when the job is to stop, for whichever reason; the reason is a StoppedError. */
  readonly signal: AbortSignal;
  /** Follows it at once, but for a shutdown with a delay: what was fetched is to be brought through. */
  readonly endSignal: AbortSignal;
  /** Follows that one with a delay: writes under way then are to be known, not cut off. */
  readonly lateSignal: AbortSignal;
  /** Why it was told to stop; undefined as long as it was not. */
  readonly reason: StoppedError | undefined;
  /** Stops the job; the first reason counts. */
  readonly stopWith: (reason: unknown) => void;
  /** How long the row may take that is left behind at a shutdown. */
  readonly leaveMs: (reason: unknown) => number;
  /** Nothing depends on it any more. */
  release(): void;
}

export function followContext(context: Pick<JobContext, 'signal'>): JobStop {
  const stop = new AbortController();
  const { end, late, leaveMs } = stopTimes(stop.signal);
  const stopWith = (reason: unknown): void => {
    stop.abort(
      reason instanceof StoppedError ? reason : new StoppedError('cancelled', 'the caller stopped the job'),
    );
  };
  const onAbort = (): void => {
    stopWith(context.signal.reason);
  };
  if (context.signal.aborted) onAbort();
  else context.signal.addEventListener('abort', onAbort, { once: true });
  return {
    signal: stop.signal,
    endSignal: end.signal,
    lateSignal: late.signal,
    get reason() {
      return stop.signal.aborted ? (stop.signal.reason as StoppedError) : undefined;
    },
    stopWith,
    leaveMs,
    release() {
      context.signal.removeEventListener('abort', onAbort);
      end.release();
      late.release();
    },
  };
}
