import { StoppedError } from '../base/errors.ts';
import { lingering } from '../flow/time.ts';
import type { JobContext } from '../worker/types.ts';

/** What tells a job to stop: its context, or something that it came upon itself. */
export interface JobStop {
  /** Aborts when the job is to stop, for whichever reason; the reason is a StoppedError. */
  readonly signal: AbortSignal;
  /** Follows it with a delay: what is under way when the job is told to stop is to be known, not cut off. */
  readonly lateSignal: AbortSignal;
  /** Why it was told to stop; undefined as long as it was not. */
  readonly reason: StoppedError | undefined;
  /** Stops the job; the first reason counts. */
  readonly stopWith: (reason: unknown) => void;
  /** Nothing depends on it any more. */
  release(): void;
}

/** What is under way when a job is told to stop has so long to end; the page and the platform wait for little more. */
const LATE_MS = 3_000;

export function followContext(context: Pick<JobContext, 'signal'>): JobStop {
  const stop = new AbortController();
  const late = lingering(stop.signal, LATE_MS);
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
    lateSignal: late.signal,
    get reason() {
      return stop.signal.aborted ? (stop.signal.reason as StoppedError) : undefined;
    },
    stopWith,
    release() {
      context.signal.removeEventListener('abort', onAbort);
      late.release();
    },
  };
}
