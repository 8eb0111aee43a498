import { extname } from 'node:path';

import type { Log } from '../base/log.ts';
import type { ExecutionProvider } from '../base/settings.ts';
import type { HostOptions, HostRequest, LoadedGraph, RunCall, TensorData } from './graph-host-messages.ts';
import { isGpu, noProvider } from './providers.ts';
import { threadCalls } from './thread-calls.ts';

export type { RunCall, TensorData } from './graph-host-messages.ts';

/**
 * Graphs that run in a thread of their own and the tensors that they share: outputs of one run can stay there as
 * inputs of the next. Calls are answered one after another, in order.
 *
 * All calls throw ModelError: `out_of_memory` (retryable: a smaller graph may do), `inference_failed`,
 * `graph_invalid`, `model_closed`, `model_thread_stopped`. Arrays that are given are handed over: they may be empty
 * afterwards.
 */
export interface GraphHost extends AsyncDisposable {
  /** Where the graphs run; undefined until the first one was loaded. */
  readonly provider: ExecutionProvider | undefined;
  /**
   * Loads a graph whose inputs' lengths are all fixed, in the place of one of the same name, and proves it by one run
   * on zeros. A path is for graphs with weights in files beside them.
   * @throws ModelError `gpu_required`, `model_load_failed`.
   */
  load(name: string, model: Uint8Array | string): Promise<LoadedGraph>;
  unload(name: string): Promise<void>;
  /** Runs a graph; answers with `returns`. */
  run(run: RunCall): Promise<Record<string, TensorData>>;
  /** Keeps tensors under these names. */
  write(tensors: Tensors): Promise<void>;
  /** Copies of kept tensors. */
  read(names: readonly string[]): Promise<Record<string, TensorData>>;
  /** Keeps the same values under new names: new to old. */
  copy(names: Readonly<Record<string, string>>): Promise<void>;
  remove(names: readonly string[]): Promise<void>;
  /** Ends the thread once the run under way is over; calls that wait are refused. */
  close(): Promise<void>;
}

// The compiler does not rewrite this name: the thread's file has the ending that this one runs with.
const THREAD = new URL(`./graph-host-thread${extname(import.meta.url)}`, import.meta.url);

/** @throws ModelError `gpu_required` where a GPU is required and no provider for one is named. */
export function createGraphHost(options: HostOptions & { log: Log }): GraphHost {
  const { log, ...forThread } = options;
  if (options.requireGpu && !options.providers.some(isGpu)) throw noProvider(options, []);
  const thread = threadCalls<HostRequest>({ file: THREAD, workerData: { ...forThread }, what: 'model' });
  let provider: ExecutionProvider | undefined;
  const close = (): Promise<void> => thread.close();
  return {
    get provider() {
      return provider;
    },
    load: async (name, model) => {
      const whole = typeof model === 'string' ? model : wholeBuffer(model);
      const transfer = typeof whole === 'string' ? [] : [whole.buffer as ArrayBuffer];
      const loaded = await thread.call<LoadedGraph>({ type: 'load', name, model: whole }, transfer);
      if (provider === undefined) report(log, loaded);
      ({ provider } = loaded);
      return loaded;
    },
    unload: (name) => thread.call({ type: 'unload', name }),
    run: (run) => {
      const feeds = handedOver(run.feeds);
      return thread.call({ type: 'run', run: { ...run, feeds } }, buffersOf(feeds));
    },
    write: (given) => {
      const tensors = handedOver(given);
      return thread.call({ type: 'write', tensors }, buffersOf(tensors));
    },
    read: (names) => thread.call({ type: 'read', names }),
    copy: (names) => thread.call({ type: 'copy', names }),
    remove: (names) => thread.call({ type: 'remove', names }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

type Tensors = Readonly<Record<string, TensorData>>;

function handedOver(tensors: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { data, dims }]) => [name, { data: wholeBuffer(data), dims }]),
  );
}

/** An array that is a part of a larger buffer is copied: that buffer is not ours to give away. */
function wholeBuffer<A extends TensorData['data']>(data: A): A {
  if (data.byteLength === data.buffer.byteLength) return data;
  // A Buffer's own slice does not copy.
  return (data instanceof Uint8Array ? new Uint8Array(data) : data.slice()) as A;
}

function buffersOf(tensors: Tensors): ArrayBuffer[] {
  const buffers = Object.values(tensors).map(({ data }) => data.buffer);
  return [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer);
}

function report(log: Log, { provider, failures, placement }: LoadedGraph): void {
  for (const failure of failures) {
    log.warn('Execution provider did not come up', { provider: failure.provider, reason: failure.reason });
  }
  log.debug('Execution provider chosen', { provider, ...placement });
}
