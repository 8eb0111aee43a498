import { extname } from 'node:path';
import { SHARE_ENV, Worker } from 'node:worker_threads';

import { messageOf, ModelError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ExecutionProvider } from '../base/settings.ts';
import { isGpu, noProvider } from './providers.ts';
import type { FromThread, ThreadOptions, ToThread } from './session-messages.ts';

export interface SessionOptions extends Omit<ThreadOptions, 'closing'> {
  log: Log;
  /** What the thread runs; session-thread.ts by default. */
  thread?: URL;
}

export interface Session {
  readonly dim: number;
  readonly provider: ExecutionProvider;
  readonly batchSize: number;
  /** See EmbeddingModel. */
  readonly stopped: boolean;
  embed(pixels: Uint8Array, count: number): Promise<Float32Array>;
  close(): Promise<void>;
}

type ReadyMessage = Extract<FromThread, { type: 'ready' }>;
interface Waiting {
  resolve: (vectors: Float32Array) => void;
  reject: (error: ModelError) => void;
}

// The compiler does not rewrite this name: the thread's file has the ending that this one runs with.
const THREAD = new URL(`./session-thread${extname(import.meta.url)}`, import.meta.url);

/**
 * A session in a thread of its own, proven by one run. The model's bytes are handed over to the thread.
 * @throws ModelError `gpu_required`, `model_load_failed`, `model_mismatch`, `out_of_memory`.
 */
export async function createSession(options: SessionOptions): Promise<Session> {
  const { log, thread = THREAD, ...forThread } = options;
  if (options.requireGpu && !options.providers.some(isGpu)) throw noProvider(options, []);
  const closing = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(thread, {
    workerData: { ...forThread, closing } satisfies ThreadOptions,
    transferList: typeof options.model === 'string' ? [] : [options.model.buffer as ArrayBuffer],
    env: SHARE_ENV,
  });
  const waiting = new Map<number, Waiting>();
  const exited = new Promise<void>((resolve) => worker.once('exit', resolve));
  let stopped: ModelError | undefined;
  let runFailed = false;
  let batchSize = 0;

  const stop = (error: ModelError): void => {
    stopped ??= error;
    for (const { reject } of waiting.values()) reject(stopped);
    waiting.clear();
  };
  /** Takes a call off the list; a thread that nobody waits for does not keep the process from ending. */
  const settled = (id: number): Waiting | undefined => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
    return call;
  };
  const ready = await new Promise<ReadyMessage>((resolve, reject) => {
    const die = (error: ModelError): void => {
      stop(error);
      reject(error);
    };
    worker.on('message', (message: FromThread) => {
      if (message.type === 'ready') {
        ({ batchSize } = message);
        resolve(message);
      } else if (message.type === 'halved') {
        ({ batchSize } = message);
        log.warn('Memory ran out: the batch was halved', { batch_size: batchSize, reason: message.reason });
      } else if (message.type === 'vectors') {
        settled(message.id)?.resolve(message.vectors);
      } else if (message.id === undefined) {
        die(new ModelError(message.code, message.message));
      } else {
        runFailed = true;
        settled(message.id)?.reject(new ModelError(message.code, message.message));
      }
    });
    worker.once('error', (cause) => {
      die(
        new ModelError('model_thread_stopped', `the model's thread stopped: ${messageOf(cause)}`, { cause }),
      );
    });
    worker.once('exit', (code) => {
      die(
        new ModelError('model_thread_stopped', `the model's thread stopped with exit code ${String(code)}`),
      );
    });
  }).catch(async (error: unknown) => {
    await exited;
    throw error;
  });
  worker.unref();
  report(log, ready);

  const post = (message: ToThread, transfer: ArrayBuffer[] = []): void => {
    worker.postMessage(message, transfer);
  };
  let nextId = 0;
  return {
    dim: ready.dim,
    provider: ready.provider,
    get batchSize() {
      return batchSize;
    },
    get stopped() {
      return runFailed || stopped !== undefined;
    },
    embed: async (pixels, count) => {
      if (stopped !== undefined) throw stopped;
      checkPixels(pixels, count, options);
      if (count === 0) return new Float32Array(0);
      const id = nextId++;
      // Shared memory is read in place; anything else is copied once, so that the caller keeps its buffer.
      const shared = pixels.buffer instanceof SharedArrayBuffer;
      const sent = shared ? pixels : pixels.slice();
      return new Promise<Float32Array>((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        worker.ref();
        post({ type: 'embed', id, pixels: sent, count }, shared ? [] : [sent.buffer as ArrayBuffer]);
      });
    },
    close: async () => {
      if (stopped === undefined) {
        stop(new ModelError('model_closed', 'the model is closed'));
        worker.ref();
        Atomics.store(closing, 0, 1);
        post({ type: 'close' });
      }
      await exited;
    },
  };
}

function checkPixels(pixels: Uint8Array, count: number, { height, width }: SessionOptions): void {
  const bytes = count * height * width * 3;
  if (!Number.isSafeInteger(count) || count < 0 || pixels.length !== bytes) {
    throw new ModelError(
      'invalid_pixels',
      `${String(count)} pictures of ${String(width)} × ${String(height)} are ${String(bytes)} bytes, ` +
        `${String(pixels.length)} were given`,
    );
  }
}

function report(log: Log, { provider, failures, placement }: ReadyMessage): void {
  for (const failure of failures) {
    log.warn('Execution provider did not come up', { provider: failure.provider, reason: failure.reason });
  }
  log.debug('Execution provider chosen', { provider, ...placement });
}
