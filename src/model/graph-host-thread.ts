/** The thread that owns several ONNX Runtime sessions and the tensors that they share. Started by graph-host.ts. */
import { parentPort, workerData } from 'node:worker_threads';

import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';

import { messageOf, ModelError } from '../base/errors.ts';
import type { ExecutionProvider } from '../base/settings.ts';
import type { HostOptions, HostRequest, LoadedGraph, RunCall, TensorData } from './graph-host-messages.ts';
import { openSession } from './providers.ts';
import { isOutOfMemory } from './run-batches.ts';
import type { Call, Reply } from './thread-calls.ts';

// Written, not read, and before the binding is loaded: the thread shares the process' environment with the native side.
// eslint-disable-next-line no-restricted-syntax
process.env.ORT_DISABLE_TELEMETRY = '1';
const { InferenceSession: Session, Tensor } = await import('onnxruntime-node');

const options = workerData as HostOptions & { closing: Int32Array };
const sessions = new Map<string, InferenceSession>();
const kept = new Map<string, OrtTensor>();
/** Where the first graph came up. */
let provider: ExecutionProvider | undefined;

/**
 * Moments of weights that get no gradient shrink into denormal numbers, on which a CPU is a hundred times slower; as
 * zeros they say the same.
 */
const EXTRA = { session: { set_denormal_as_zero: '1' } };

function refuseClosing(): void {
  if (Atomics.load(options.closing, 0) !== 0) throw new ModelError('model_closed', 'the model is closed');
}

async function load(name: string, model: Uint8Array | string): Promise<LoadedGraph> {
  await unload(name);
  let runMs = 0;
  let outputs: LoadedGraph['outputs'] = {};
  let outOfMemory: unknown;
  try {
    const opened = await openSession({
      model,
      providers: provider === undefined ? options.providers : [provider],
      requireGpu: options.requireGpu,
      extra: EXTRA,
      threads: () => options.threads,
      create: (bytes, settings) => {
        refuseClosing();
        return typeof bytes === 'string' ? Session.create(bytes, settings) : Session.create(bytes, settings);
      },
      probe: async (session) => {
        const feeds = zeros(session);
        refuseClosing();
        const values = await session.run(feeds).catch((error: unknown) => {
          if (isOutOfMemory(error)) outOfMemory = error;
          throw error;
        });
        // The first run also gets the memory for all others.
        refuseClosing();
        const begun = performance.now();
        await session.run(feeds);
        runMs = performance.now() - begun;
        outputs = Object.fromEntries(Object.entries(values).map(([output, { dims }]) => [output, dims]));
      },
    });
    ({ provider } = opened);
    const { session, ...rest } = opened;
    sessions.set(name, session);
    return { ...rest, runMs, outputs };
  } catch (error) {
    throw outOfMemory ?? error;
  }
}

async function unload(name: string): Promise<void> {
  const session = sessions.get(name);
  sessions.delete(name);
  await session?.release();
}

function zeros(session: InferenceSession): Record<string, OrtTensor> {
  const feeds: Record<string, OrtTensor> = {};
  for (const input of session.inputMetadata) {
    if (!input.isTensor) continue;
    const dims = input.shape.filter((length) => typeof length === 'number');
    const length = dims.reduce((a, b) => a * b, 1);
    if (dims.length !== input.shape.length || !isCarried(input.type)) {
      throw new ModelError(
        'graph_invalid',
        `the input '${input.name}' is ${input.type} [${input.shape.map(String).join(', ')}]; lengths must be fixed`,
      );
    }
    feeds[input.name] = tensorOf({ data: new ARRAYS[input.type](length), dims });
  }
  return feeds;
}

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int64: BigInt64Array };

function isCarried(type: string): type is keyof typeof ARRAYS {
  return Object.hasOwn(ARRAYS, type);
}

/** The runtime takes no shared memory. */
function tensorOf({ data, dims }: TensorData): OrtTensor {
  if (data instanceof Float32Array) return new Tensor('float32', owned(data), dims);
  if (data instanceof Uint8Array) return new Tensor('uint8', owned(data), dims);
  return new Tensor('int64', owned(data), dims);
}

function owned<A extends TensorData['data']>(data: A): A {
  return data.buffer instanceof ArrayBuffer ? data : (data.slice() as A);
}

function keptTensor(name: string): OrtTensor {
  const tensor = kept.get(name);
  if (tensor === undefined) throw new ModelError('graph_invalid', `no tensor '${name}' is kept`);
  return tensor;
}

async function run(call: RunCall): Promise<Record<string, TensorData>> {
  const { graph, feeds, reads = {}, writes = {}, returns = [], keepIfFinite = [] } = call;
  const session = sessions.get(graph);
  if (session === undefined) throw new ModelError('graph_invalid', `no graph '${graph}' is loaded`);
  const inputs: Record<string, OrtTensor> = {};
  for (const [input, data] of Object.entries(feeds)) inputs[input] = tensorOf(data);
  for (const [input, name] of Object.entries(reads)) inputs[input] = keptTensor(name);
  const outputs = await session.run(inputs, [...new Set([...Object.keys(writes), ...returns])]);
  const answer: Record<string, TensorData> = {};
  for (const name of returns) {
    const { data, dims } = dataOf(outputs[name]);
    // What is kept as well must not leave with the answer.
    answer[name] = { data: name in writes ? data.slice() : data, dims };
  }
  if (keepIfFinite.every((name) => isFinite(answer[name]))) {
    for (const [output, name] of Object.entries(writes)) {
      const tensor = outputs[output];
      if (tensor !== undefined) kept.set(name, tensor);
    }
  }
  return answer;
}

function isFinite(tensor: TensorData | undefined): boolean {
  return tensor?.data instanceof Float32Array && tensor.data.every(Number.isFinite);
}

function dataOf(tensor: OrtTensor | undefined): TensorData {
  const data = tensor?.data;
  if (!(data instanceof Float32Array || data instanceof Uint8Array || data instanceof BigInt64Array)) {
    throw new ModelError('graph_invalid', `an output of type ${tensor?.type ?? 'none'} cannot be handed out`);
  }
  return { data, dims: tensor?.dims ?? [] };
}

function read(names: readonly string[]): Record<string, TensorData> {
  return Object.fromEntries(
    names.map((name) => {
      const { data, dims } = dataOf(keptTensor(name));
      return [name, { data: data.slice(), dims }];
    }),
  );
}

async function answer(request: HostRequest): Promise<unknown> {
  switch (request.type) {
    case 'load':
      return load(request.name, request.model);
    case 'unload':
      return unload(request.name);
    case 'run':
      return run(request.run);
    case 'read':
      return read(request.names);
    case 'write':
      for (const [name, data] of Object.entries(request.tensors)) kept.set(name, tensorOf(data));
      return undefined;
    case 'copy':
      for (const [to, from] of Object.entries(request.names)) kept.set(to, keptTensor(from));
      return undefined;
    case 'remove':
      for (const name of request.names) kept.delete(name);
      return undefined;
  }
}

function send(reply: Reply, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(reply, transfer);
}

/** Buffers that leave with an answer: nothing else holds them. */
function leaving(request: HostRequest, value: unknown): ArrayBuffer[] {
  if (request.type !== 'run' && request.type !== 'read') return [];
  const tensors = Object.values(value as Record<string, TensorData>);
  return [...new Set(tensors.map(({ data }) => data.buffer as ArrayBuffer))];
}

function failure(error: unknown, id: number): Reply {
  if (isOutOfMemory(error)) {
    const message = `ONNX Runtime ran out of memory: ${messageOf(error)}`;
    return { type: 'failed', id, code: 'out_of_memory', message, retryable: true };
  }
  const known = error instanceof ModelError;
  const message = known ? error.message : `ONNX Runtime: ${messageOf(error)}`;
  return { type: 'failed', id, code: known ? error.code : 'inference_failed', message };
}

async function handle({ id, request }: Call<HostRequest | 'close'>): Promise<void> {
  if (request === 'close') {
    for (const name of [...sessions.keys()]) await unload(name);
    parentPort?.close();
    return;
  }
  try {
    refuseClosing();
    const value = await answer(request);
    send({ type: 'answer', id, value }, leaving(request, value));
  } catch (error) {
    send(failure(error, id));
  }
}

let queue = Promise.resolve();
parentPort?.on('message', (message: Call<HostRequest | 'close'>) => {
  queue = queue.then(() => handle(message));
});
