import { extname } from 'node:path';
import { SHARE_ENV, Worker } from 'node:worker_threads';

import { messageOf, ModelError } from '../base/errors.ts';
import type { FromFoldThread, InferredValue } from './fold-messages.ts';

export type { InferredValue } from './fold-messages.ts';

export interface FoldedGraph {
  /** The model with what does not depend on its inputs computed. */
  model: Uint8Array;
  /** Every value that a node makes. */
  values: InferredValue[];
}

// The compiler does not rewrite this name: the thread's file has the ending that this one runs with.
const THREAD = new URL(`./fold-thread${extname(import.meta.url)}`, import.meta.url);

/**
 * Lets ONNX Runtime compute what does not depend on a model's inputs and infer the lengths of all that does, in a
 * thread of its own, which ends with it: making a session blocks for seconds. Nothing of the model runs. The bytes are
 * handed over to the thread.
 * @throws ModelError `model_load_failed` for what ONNX Runtime does not take.
 */
export async function foldGraph(model: Uint8Array<ArrayBuffer>): Promise<FoldedGraph> {
  const worker = new Worker(THREAD, { workerData: model, transferList: [model.buffer], env: SHARE_ENV });
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      reject(new ModelError('model_load_failed', `ONNX Runtime could not read the model: ${reason}`));
    };
    worker.once('message', (message: FromFoldThread) => {
      if (message.type === 'folded') resolve({ model: message.model, values: message.values });
      else fail(message.message);
    });
    worker.once('error', (cause) => {
      fail(messageOf(cause));
    });
    worker.once('exit', (code) => {
      fail(`its thread stopped with exit code ${String(code)}`);
    });
  });
}
