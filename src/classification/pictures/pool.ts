import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

import { HandlerError, messageOf } from '../../base/errors.ts';
import type { FromPool, PoolThreadOptions, ToPool } from './pool-messages.ts';

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
type PoolTask = WithoutId<ToPool>;

/** Threads that make views of pictures. */
export interface Pool extends AsyncDisposable {
  readonly threads: number;
  /** Resolves when the pixels are written. */
  run(task: PoolTask): Promise<void>;
  close(): Promise<void>;
}

// The compiler does not rewrite this name: the thread's file has the ending that this one runs with.
const THREAD = new URL(`./pool-thread${extname(import.meta.url)}`, import.meta.url);

interface Waiting {
  resolve: () => void;
  reject: (error: HandlerError) => void;
}

interface Thread {
  worker: Worker;
  waiting: Map<number, Waiting>;
}

export function createPool({ threads, ...options }: PoolThreadOptions & { threads: number }): Pool {
  let nextId = 0;
  let stopped: HandlerError | undefined;
  const fail = (message: string): void => {
    stopped ??= new HandlerError('picture_thread_stopped', message);
    for (const { waiting } of pool) {
      for (const { reject } of waiting.values()) reject(stopped);
      waiting.clear();
    }
  };
  const start = (): Thread => {
    const worker = new Worker(THREAD, { workerData: options satisfies PoolThreadOptions });
    const waiting = new Map<number, Waiting>();
    worker.on('message', ({ id, error }: FromPool) => {
      const call = waiting.get(id);
      waiting.delete(id);
      if (waiting.size === 0) worker.unref();
      if (error === undefined) call?.resolve();
      else call?.reject(new HandlerError('internal', `a picture could not be prepared: ${error}`));
    });
    worker.once('error', (error) => fail(`a thread that prepares pictures stopped: ${messageOf(error)}`));
    worker.once('exit', () => fail('a thread that prepares pictures has ended'));
    worker.unref();
    return { worker, waiting };
  };
  const pool = Array.from({ length: threads }, start);

  const close = async (): Promise<void> => {
    stopped ??= new HandlerError('internal', 'the threads that prepare pictures are closed');
    await Promise.all(pool.map(({ worker }) => worker.terminate()));
  };
  return {
    threads,
    run(task) {
      if (stopped !== undefined) return Promise.reject(stopped);
      // The one with the least to do; they take about as long for each task.
      const idlest = pool.reduce((a, b) => (b.waiting.size < a.waiting.size ? b : a));
      const id = nextId++;
      return new Promise((resolve, reject) => {
        idlest.waiting.set(id, { resolve, reject });
        idlest.worker.ref();
        idlest.worker.postMessage({ ...task, id } satisfies ToPool);
      });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
