import { ModelError } from '../base/errors.ts';
import type { GraphHost, RunCall, TensorData } from '../model/graph-host.ts';
import { sizeOf, type Dims } from './dims.ts';
import { copies, keptName, statefulRun, SUM, ZERO, zeros } from './kept-state.ts';
import type { LoraLayer } from './lora.ts';
import { rowsOf } from './micro-batch.ts';
import { FEATURES, type Network } from './network.ts';
import type { StateVector } from './state-plan.ts';
import { stepFeeds } from './step-feeds.ts';
import {
  allKinds,
  buildEvaluation,
  buildTraining,
  buildUpdate,
  OUTPUT,
  type BuiltGraph,
} from './train-graphs.ts';
import type { StepResult, TrainBatch, TrainerOptions } from './trainer.ts';

/** The graphs of one network at one number of rows, loaded in a host that also keeps their state. */
export interface Engine {
  /** Rows of one run. */
  readonly rows: number;
  /** Time of a row in training, in milliseconds, measured on zeros when the graphs were loaded. */
  readonly msPerRow: number;
  readonly featureLength: number;
  readonly vectors: readonly StateVector[];
  /** Kinds of state tensors: one for each vector. */
  readonly kinds: readonly string[];
  readonly lora: readonly LoraLayer[];
  /** One update. Until its last run is under way nothing has changed. */
  step(batch: TrainBatch, options: EngineStep): Promise<StepResult>;
  /** `[count, ...]` of an output, for inputs `[count, ...]`. */
  evaluate(
    inputs: Uint8Array | Float32Array,
    count: number,
    options: EngineEvaluation,
  ): Promise<Float32Array>;
}

interface EngineStep {
  learningRate: number;
  /** Updates made before. */
  step: number;
  signal?: AbortSignal | undefined;
}

interface EngineEvaluation {
  /** The kind of state that the weights come from. */
  weights: string;
  output: 'logits' | 'features';
  signal?: AbortSignal | undefined;
}

const GRAPHS = ['evaluate', 'step', 'accumulate', 'update'] as const;

interface Loaded {
  host: GraphHost;
  options: TrainerOptions;
  rows: number;
  input: string;
  /** Lengths of one row of the input. */
  inputDims: Dims;
  featureLength: number;
  vectors: readonly StateVector[];
  kinds: readonly string[];
  graphs: Record<(typeof GRAPHS)[number], Pick<BuiltGraph, 'inputs' | 'outputs'>>;
}

/** Loads what one network needs; what the host held of another number of rows is dropped first. */
export async function loadEngine(
  host: GraphHost,
  network: Network,
  options: TrainerOptions,
): Promise<Engine> {
  const { g, vectors, lora } = network;
  const [rows = 0, ...inputDims] = g.dims(network.input);
  const isWhole = rows >= options.batchSize;
  for (const name of GRAPHS) await host.unload(name);
  const evaluation = buildEvaluation(network, options);
  const { provider } = await host.load('evaluate', evaluation.encode());
  const graphs = {
    evaluate: evaluation,
    ...buildTraining(network, options, provider === 'cpu' ? 'cpu' : 'any'),
    update: buildUpdate(vectors, options),
  };
  const name = isWhole ? 'step' : 'accumulate';
  const { runMs } = await host.load(name, graphs[name].encode());
  if (!isWhole) {
    await host.load('update', graphs.update.encode());
    await host.write(zeros(ZERO, vectors));
  }
  const loaded: Loaded = {
    host,
    options,
    rows,
    input: network.input,
    inputDims,
    featureLength: g.dims(network.features)[1] ?? 0,
    vectors,
    kinds: allKinds(options),
    // Not the graphs themselves, which hold all weights.
    graphs: {
      evaluate: namesOf(graphs.evaluate),
      step: namesOf(graphs.step),
      accumulate: namesOf(graphs.accumulate),
      update: namesOf(graphs.update),
    },
  };
  const { featureLength, kinds } = loaded;
  return {
    rows,
    msPerRow: runMs / rows,
    featureLength,
    vectors,
    kinds,
    lora,
    step: (batch, step) => (isWhole ? wholeStep(loaded, batch, step) : summedStep(loaded, batch, step)),
    evaluate: (inputs, count, evaluation) => evaluate(loaded, { inputs, count }, evaluation),
  };
}

function namesOf({ inputs, outputs }: BuiltGraph): Pick<BuiltGraph, 'inputs' | 'outputs'> {
  return { inputs, outputs };
}

async function wholeStep(loaded: Loaded, batch: TrainBatch, options: EngineStep): Promise<StepResult> {
  const { host, rows, kinds } = loaded;
  const feeds = feedsOf(loaded, batch, options);
  options.signal?.throwIfAborted();
  const answer = await host.run({
    ...stateful(loaded, 'step', { ...feeds.part(0, rows), ...feeds.update() }, kinds),
    returns: [OUTPUT.loss, OUTPUT.norm],
    keepIfFinite: [OUTPUT.loss, OUTPUT.norm],
  });
  return finite({ loss: scalarOf(answer[OUTPUT.loss]), gradientNorm: scalarOf(answer[OUTPUT.norm]) });
}

async function summedStep(loaded: Loaded, batch: TrainBatch, options: EngineStep): Promise<StepResult> {
  const { host, rows, vectors, kinds } = loaded;
  const feeds = feedsOf(loaded, batch, options);
  await host.copy(copies(SUM, ZERO, vectors));
  let loss = 0;
  for (let at = 0; at < feeds.rows; at += rows) {
    options.signal?.throwIfAborted();
    const answer = await host.run({
      ...stateful(loaded, 'accumulate', feeds.part(at, rows), ['parameters', SUM]),
      returns: [OUTPUT.loss],
    });
    loss += scalarOf(answer[OUTPUT.loss]);
  }
  finite({ loss, gradientNorm: 0 });
  options.signal?.throwIfAborted();
  const answer = await host.run({
    ...stateful(loaded, 'update', feeds.update(), [...kinds, SUM]),
    returns: [OUTPUT.norm],
    keepIfFinite: [OUTPUT.norm],
  });
  return finite({ loss, gradientNorm: scalarOf(answer[OUTPUT.norm]) });
}

function stateful(
  { vectors, graphs }: Loaded,
  name: keyof Loaded['graphs'],
  feeds: Record<string, TensorData>,
  kinds: readonly string[],
): RunCall {
  return statefulRun({ name, graph: graphs[name] }, feeds, { vectors, kinds });
}

function feedsOf(loaded: Loaded, batch: TrainBatch, { step, learningRate }: EngineStep) {
  const { options, input, inputDims, featureLength } = loaded;
  return stepFeeds(batch, { options, input, inputDims, featureLength, step, learningRate });
}

async function evaluate(
  loaded: Loaded,
  { inputs, count }: { inputs: Uint8Array | Float32Array; count: number },
  { weights, output, signal }: EngineEvaluation,
): Promise<Float32Array> {
  const { host, rows, input, inputDims, options } = loaded;
  checkInputs(loaded, inputs, count);
  const length = output === 'logits' ? options.classes : loaded.featureLength;
  const all = new Float32Array(count * length);
  const wantsBytes = input !== FEATURES && options.pixels === 'uint8';
  const data = wantsBytes || inputs instanceof Float32Array ? inputs : Float32Array.from(inputs);
  for (let at = 0; at < count; at += rows) {
    signal?.throwIfAborted();
    const part = rowsOf({ data, length: sizeOf(inputDims) }, at, rows);
    const answer = await host.run({
      graph: 'evaluate',
      feeds: { [input]: { data: part, dims: [rows, ...inputDims] } },
      reads: Object.fromEntries(loaded.vectors.map((vector) => [vector.name, keptName(weights, vector)])),
      returns: [OUTPUT[output]],
    });
    const found = answer[OUTPUT[output]]?.data as Float32Array;
    all.set(found.subarray(0, Math.min(rows, count - at) * length), at * length);
  }
  return all;
}

function checkInputs(
  { input, inputDims, options }: Loaded,
  inputs: Uint8Array | Float32Array,
  count: number,
): void {
  const mustBeFloat = input === FEATURES;
  const mustBeBytes = input !== FEATURES && options.pixels === 'uint8';
  const isBytes = inputs instanceof Uint8Array;
  if (inputs.length === count * sizeOf(inputDims) && !(isBytes ? mustBeFloat : mustBeBytes)) return;
  throw new ModelError(
    'invalid_batch',
    `${String(count)} rows of ${input} [${inputDims.map(String).join(', ')}] do not fit ` +
      `${String(inputs.length)} ${isBytes ? 'bytes' : 'floats'}`,
  );
}

function scalarOf(tensor: TensorData | undefined): number {
  return Number(tensor?.data[0] ?? NaN);
}

function finite(result: StepResult): StepResult {
  if (Number.isFinite(result.loss) && Number.isFinite(result.gradientNorm)) return result;
  throw new ModelError(
    'loss_not_finite',
    `the loss is ${String(result.loss)} and the gradient's norm ${String(result.gradientNorm)}: the weights are as ` +
      'before this step; go on with a smaller learning rate, from here or from a checkpoint',
  );
}
