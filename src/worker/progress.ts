import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { toJson } from './output.ts';
import { limited, MAX_CHUNK_BYTES } from './result.ts';

export interface ProgressOptions {
  post: (body: string, signal: AbortSignal) => Promise<void>;
  log: Log;
}

/** What a job reports on its way: one post at a time, the latest value next, in order. */
export interface Progress {
  /** The value as it is now. Never throws, never waits. */
  report: (value: unknown) => void;
  /**
   * Resolves when the latest value has been posted, has failed, or was given up after so long. Nothing is posted
   * after that, and what is reported later is dropped.
   */
  finish(withinMs: number): Promise<void>;
}

/** A progress that does not get through is no reason to hold a result back: so often in a row it is tried. */
const TRIES = 2;

export function createProgress({ post, log }: ProgressOptions): Progress {
  let waiting: string | undefined;
  let running: Promise<void> | undefined;
  let finished = false;
  const late = new AbortController();

  const drain = async (): Promise<void> => {
    let failures = 0;
    while (waiting !== undefined && failures < TRIES && !late.signal.aborted) {
      const body = waiting;
      waiting = undefined;
      try {
        await post(body, late.signal);
        failures = 0;
      } catch (error) {
        failures += 1;
        // A newer value stands for the older one.
        waiting ??= body;
        log.debug('Progress was not taken', { reason: messageOf(error) });
      }
    }
    waiting = undefined;
    running = undefined;
  };

  return {
    report(value) {
      if (finished) return;
      try {
        waiting = `{"status":"IN_PROGRESS","output":${limited(toJson(value), 'progress', MAX_CHUNK_BYTES)}}`;
      } catch (error) {
        log.warn('Progress was left out', { reason: messageOf(error) });
        return;
      }
      running ??= drain();
    },
    async finish(withinMs) {
      finished = true;
      const timer = setTimeout(() => late.abort(), withinMs);
      await running;
      clearTimeout(timer);
    },
  };
}
