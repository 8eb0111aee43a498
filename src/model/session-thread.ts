/** The thread that owns the ONNX Runtime session: runs block it, and nothing else. Started by session.ts. */
import { parentPort, workerData } from 'node:worker_threads';

import type { InferenceSession } from 'onnxruntime-node';

import { messageOf, ModelError } from '../base/errors.ts';
import { openSession } from './providers.ts';
import { runBatches, type BatchState } from './run-batches.ts';
import type { FromThread, ThreadOptions, ToThread } from './session-messages.ts';

// Written, not read, and before the binding is loaded: the thread shares the process' environment with the native side.
// eslint-disable-next-line no-restricted-syntax
process.env.ORT_DISABLE_TELEMETRY = '1';
const { InferenceSession: Session, Tensor } = await import('onnxruntime-node');

const options = workerData as ThreadOptions;
const { height, width } = options;
const rowBytes = height * width * 3;

function send(message: FromThread, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

async function runOnce(
  session: InferenceSession,
  pixels: Uint8Array,
  batchSize: number,
): Promise<Float32Array> {
  if (Atomics.load(options.closing, 0) !== 0)
    throw new ModelError('model_closed', 'the model is being closed');
  // The runtime takes no shared memory.
  const own = pixels.buffer instanceof ArrayBuffer ? pixels : new Uint8Array(pixels);
  const input = new Tensor('uint8', own, [batchSize, height, width, 3]);
  const output = (await session.run({ [options.inputName]: input }, [options.outputName]))[
    options.outputName
  ];
  if (output?.type !== 'float32' || output.dims.length !== 2 || output.dims[0] !== batchSize) {
    const shape = output?.dims.map(String).join(', ') ?? '';
    throw new ModelError(
      'model_mismatch',
      `the model gave ${output?.type ?? 'nothing'} [${shape}] for a batch of ${String(batchSize)}, expected float32 [batch, length]`,
    );
  }
  return output.data as Float32Array;
}

interface Ready {
  session: InferenceSession;
  embed: (pixels: Uint8Array, count: number) => Promise<Float32Array>;
}

async function start(): Promise<Ready> {
  let state: BatchState = { batchSize: 1, minBatchSize: 1 };
  const embedWith = (session: InferenceSession, pixels: Uint8Array, count: number): Promise<Float32Array> =>
    runBatches({
      pixels,
      count,
      rowBytes,
      state,
      run: (batch, size) => runOnce(session, batch, size),
      onHalved: (batchSize, reason) => {
        send({ type: 'halved', batchSize, reason });
      },
    });
  let dim = 0;
  const { session, provider, failures, placement } = await openSession({
    ...options,
    threads: (name) => options.sizes[name].threads.value,
    create: (model, settings) =>
      typeof model === 'string' ? Session.create(model, settings) : Session.create(model, settings),
    probe: async (candidate, name) => {
      const batchSize = options.sizes[name].batchSize.value;
      state = { batchSize, minBatchSize: options.fixedBatch ?? 1 };
      const vector = await embedWith(candidate, new Uint8Array(rowBytes), 1);
      if (!vector.every(Number.isFinite)) {
        throw new ModelError('vector_not_finite', 'the model gives NaN or infinity for a black picture');
      }
      dim = vector.length;
    },
  });
  // The session has its own copy: this one is given back now, and not when something is collected in this thread.
  if (typeof options.model !== 'string') (options.model.buffer as ArrayBuffer).transfer(0);
  send({
    type: 'ready',
    dim,
    provider,
    batchSize: state.batchSize,
    failures,
    ...(placement === undefined ? {} : { placement }),
  });
  return { session, embed: (pixels, count) => embedWith(session, pixels, count) };
}

function fail(error: unknown, code: string, id?: number): void {
  send({
    type: 'failed',
    code: error instanceof ModelError ? error.code : code,
    message: error instanceof ModelError ? error.message : `ONNX Runtime: ${messageOf(error)}`,
    ...(id === undefined ? {} : { id }),
  });
}

async function handle({ session, embed }: Ready, message: ToThread): Promise<void> {
  if (message.type === 'close') {
    await session.release();
    parentPort?.close();
    return;
  }
  try {
    const vectors = await embed(message.pixels, message.count);
    send({ type: 'vectors', id: message.id, vectors }, [vectors.buffer as ArrayBuffer]);
  } catch (error) {
    fail(error, 'inference_failed', message.id);
  }
}

try {
  const ready = await start();
  let queue = Promise.resolve();
  parentPort?.on('message', (message: ToThread) => {
    queue = queue.then(() => handle(ready, message));
  });
} catch (error) {
  fail(error, 'model_load_failed');
  parentPort?.close();
}
