import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

import type { Log } from '../base/log.ts';
import type { ToHeartbeat, FromHeartbeat, HeartbeatOptions } from './heartbeat-messages.ts';

/** Signs of life from a thread of their own: they go on while the main thread is busy, and end with the process. */
export interface Heartbeat {
  held: (id: string) => void;
  released: (id: string) => void;
  close(): Promise<void>;
}

// The compiler does not rewrite this name: the thread's file has the ending that this one runs with.
const THREAD = new URL(`./heartbeat-thread${extname(import.meta.url)}`, import.meta.url);

/**
 * Resolves when the thread is ready: the first sign of life is on its way. One that fails later is started again, with
 * the jobs that are held. Nothing happens where there is no address.
 */
export async function startHeartbeat(
  options: Omit<HeartbeatOptions, 'ping' | 'held'> & { ping: string | undefined },
  log: Log,
  thread = THREAD,
): Promise<Heartbeat> {
  const { ping, ...rest } = options;
  if (ping === undefined) {
    log.warn('RUNPOD_WEBHOOK_PING is not set: the platform gets no sign of life');
    return { held: () => undefined, released: () => undefined, close: () => Promise.resolve() };
  }
  const held = new Set<string>();
  let worker: Worker | undefined;
  let again: NodeJS.Timeout | undefined;
  const launch = async (): Promise<void> => {
    const workerData: HeartbeatOptions = { ping, ...rest, held: [...held] };
    const started = new Worker(thread, { workerData });
    worker = started;
    let isReady = false;
    await new Promise<void>((resolve, reject) => {
      started.on('message', (message: FromHeartbeat) => {
        isReady ||= message.type === 'ready';
        if (message.type === 'ready') resolve();
        else if (message.type === 'failed')
          log.warn('Signs of life do not arrive', { reason: message.reason });
        else log.info('Signs of life arrive again');
      });
      started.on('error', (error: Error) => {
        log.error('The heartbeat has stopped', { error });
        if (isReady) later();
        else reject(error);
      });
    });
    started.unref();
  };
  const later = (): void => {
    again = setTimeout(() => void launch().catch(later), rest.intervalMs).unref();
  };
  const post = (message: ToHeartbeat): void => worker?.postMessage(message);
  await launch();
  return {
    held(id) {
      held.add(id);
      post({ type: 'held', id });
    },
    released(id) {
      held.delete(id);
      post({ type: 'released', id });
    },
    async close() {
      clearTimeout(again);
      await worker?.terminate();
    },
  };
}
