import { SHARE_ENV, Worker, type Transferable } from 'node:worker_threads';

import { messageOf, ModelError } from '../base/errors.ts';

/** What a thread sends back; `id` absent: it is about to end. */
export type Reply =
  | { type: 'answer'; id: number; value: unknown }
  | { type: 'failed'; id?: number; code: string; message: string; retryable?: boolean };

/** What a thread is sent. */
export interface Call<Request> {
  id: number;
  request: Request;
}

export interface ThreadCalls<Request> {
  /** Why it takes no calls any more. */
  readonly stopped: ModelError | undefined;
  /** Calls are answered in order. A thread that nobody waits for does not keep the process from ending. */
  call<Answer>(request: Request, transfer?: readonly Transferable[]): Promise<Answer>;
  /** Refuses what still waits and ends the thread once the run under way is over. */
  close(): Promise<void>;
}

export interface ThreadCallsOptions {
  file: URL;
  /** Cloned into the thread; `closing`, one shared int32 that becomes 1 when the thread is to leave what waits, is added. */
  workerData: Readonly<Record<string, unknown>>;
  /** In messages: "the {what}'s thread stopped". */
  what: string;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: ModelError) => void;
}

/** Calls into a thread that answers each of them, or fails it, until it is closed or dies. */
export function threadCalls<Request>(options: ThreadCallsOptions): ThreadCalls<Request> {
  const { file, workerData, what } = options;
  const closing = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(file, { workerData: { ...workerData, closing }, env: SHARE_ENV });
  const waiting = new Map<number, Waiting>();
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  let stopped: ModelError | undefined;
  let nextId = 0;

  const stop = (error: ModelError): void => {
    stopped ??= error;
    for (const { reject } of waiting.values()) reject(stopped);
    waiting.clear();
  };
  const settled = (id: number): Waiting | undefined => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
    return call;
  };
  const died = (why: string, cause?: unknown): void => {
    stop(new ModelError('model_thread_stopped', `the ${what}'s thread stopped${why}`, { cause }));
  };
  worker.on('message', (message: Reply) => {
    if (message.type === 'answer') {
      settled(message.id)?.resolve(message.value);
      return;
    }
    const { id, code, retryable = false } = message;
    const error = new ModelError(code, message.message, { retryable });
    if (id === undefined) stop(error);
    else settled(id)?.reject(error);
  });
  worker.once('error', (cause) => died(`: ${messageOf(cause)}`, cause));
  worker.once('exit', (code) => died(` with exit code ${String(code)}`));
  worker.unref();

  const post = (id: number, request: Request | 'close', transfer: readonly Transferable[] = []): void => {
    worker.postMessage({ id, request } satisfies Call<Request | 'close'>, transfer);
  };
  return {
    get stopped() {
      return stopped;
    },
    call: <Answer>(request: Request, transfer?: readonly Transferable[]) =>
      new Promise<Answer>((resolve, reject) => {
        if (stopped !== undefined) {
          reject(stopped);
          return;
        }
        const id = nextId++;
        waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
        worker.ref();
        post(id, request, transfer);
      }),
    close: async () => {
      if (stopped === undefined) {
        stop(new ModelError('model_closed', `the ${what} is closed`));
        worker.ref();
        Atomics.store(closing, 0, 1);
        post(-1, 'close');
      }
      await exited;
    },
  };
}
