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

/** Resolves when the thread is ready: the first sign of life is on its way. Nothing happens where there is no address. */
export async function startHeartbeat(
  options: Omit<HeartbeatOptions, 'ping'> & { ping: string | undefined },
  log: Log,
): Promise<Heartbeat> {
  const { ping, ...rest } = options;
  if (ping === undefined) {
    log.warn('RUNPOD_WEBHOOK_PING is not set: the platform gets no sign of life');
    return { held: () => undefined, released: () => undefined, close: () => Promise.resolve() };
  }
  const worker = new Worker(THREAD, { workerData: { ping, ...rest } satisfies HeartbeatOptions });
  const post = (message: ToHeartbeat): void => worker.postMessage(message);
  await new Promise<void>((resolve, reject) => {
    worker.on('message', (message: FromHeartbeat) => {
      if (message.type === 'ready') resolve();
      else if (message.type === 'failed') log.warn('Signs of life do not arrive', { reason: message.reason });
      else log.info('Signs of life arrive again');
    });
    worker.on('error', (error: Error) => {
      log.error('The heartbeat has stopped', { error });
      reject(error);
    });
  });
  worker.unref();
  return {
    held: (id) => post({ type: 'held', id }),
    released: (id) => post({ type: 'released', id }),
    close: async () => {
      await worker.terminate();
    },
  };
}
