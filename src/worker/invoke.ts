import { randomUUID } from 'node:crypto';

import { isError, messageOf, StoppedError } from '../base/errors.ts';
import { SILENT_LOG, type Log } from '../base/log.ts';
import type { Handler } from './types.ts';

export interface InvokeOptions {
  /** The job's id; a random one by default. */
  id?: string;
  /**
   * Stops the job when aborted. The handler sees a StoppedError as the reason, whatever the caller's was. With a
   * `shutdown` of the caller's own, its `graceMs` is the handler's time to bring through what it has begun.
   */
  signal?: AbortSignal;
  /** Silent by default: a library does not write to its caller's terminal. */
  log?: Log;
  /** Gets what the handler reports while it runs, and nothing after it ended. */
  onProgress?: (value: unknown) => void;
}

/**
 * Runs one job in this process, with no queue and no worker around it. The input is handed over as it is.
 * @throws what the handler throws.
 */
export async function invoke<I, O>(
  handler: Handler<I, O>,
  input: I,
  options: InvokeOptions = {},
): Promise<O> {
  const id = options.id ?? randomUUID();
  const log = (options.log ?? SILENT_LOG).child({ requestId: id });
  const stop = new AbortController();
  const forward = (): void => stop.abort(toStopped(options.signal?.reason));
  if (options.signal?.aborted === true) forward();
  options.signal?.addEventListener('abort', forward, { once: true });

  let ended = false;
  const progress = (value: unknown): void => {
    if (ended) return;
    try {
      options.onProgress?.(value);
    } catch (error) {
      log.warn('What listens to progress failed', { error });
    }
  };
  try {
    return await handler({ id, input }, { requestId: id, signal: stop.signal, progress, log });
  } finally {
    ended = true;
    options.signal?.removeEventListener('abort', forward);
  }
}

function toStopped(reason: unknown): StoppedError {
  if (reason instanceof StoppedError) return reason;
  const timedOut = isError(reason) && reason.name === 'TimeoutError';
  return new StoppedError(timedOut ? 'timed_out' : 'cancelled', messageOf(reason), { cause: reason });
}
