import { ModelError } from '../base/errors.ts';
import type { GraphHost, RunCall, TensorData } from '../model/graph-host.ts';
import type { Dims } from './dims.ts';
import { copies, statefulRun, ZERO, zeros } from './kept-state.ts';
import type { LoraLayer } from './lora.ts';
import { loadEvaluation, type Evaluate } from './evaluation.ts';
import type { Network } from './network.ts';
import type { StateVector } from './state-plan.ts';
import { stepFeeds } from './step-feeds.ts';
import { allKinds, buildTraining, buildUpdate, OUTPUT, SUM, type BuiltGraph } from './train-graphs.ts';
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
  readonly evaluate: Evaluate;
}

interface EngineStep {
  learningRate: number;
  /** Updates made before. */
  step: number;
  signal?: AbortSignal | undefined;
}

const GRAPHS = ['step', 'accumulate', 'update'] as const;

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
  graphs: Record<(typeof GRAPHS)[number], Pick<BuiltGraph, 'inputs' | 'writes'>>;
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
  const evaluate = await loadEvaluation(host, network, options);
  const graphs = {
    ...buildTraining(network, options, host.provider === 'cpu' ? 'cpu' : 'any'),
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
    evaluate,
  };
}

function namesOf({ inputs, writes }: BuiltGraph): Pick<BuiltGraph, 'inputs' | 'writes'> {
  return { inputs, writes };
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
