import { keepOutputs } from '../onnx/inspect.ts';
import { writeModel } from '../onnx/codec.ts';
import { gradients } from './backward.ts';
import type { Target } from './convolution/target.ts';
import { detaching, type Detached } from './detach.ts';
import { headLogits, headScores, standardised } from './head.ts';
import { rowLosses, weightedTotal } from './losses/row-losses.ts';
import type { Network } from './network.ts';
import { addUpdate, clipFactor, gradientNorm, momentNames, movedAverage } from './optimisers.ts';
import { shapedGraph, type ShapedGraph } from './shaped-graph.ts';
import { stateName, type StateVector } from './state-plan.ts';
import type { TrainerOptions } from './trainer.ts';

/** A graph ready to be loaded. */
export interface BuiltGraph {
  /** The bytes of its file. */
  encode(): Uint8Array;
  /** The inputs that it has. */
  inputs: ReadonlySet<string>;
  /** Outputs that are the next state: their names to those of the tensors. */
  writes: Readonly<Record<string, string>>;
}

export interface TrainGraphs {
  /** Pixels or features to `logits` and `features_out`. */
  evaluate: BuiltGraph;
  /** One batch to `loss`, `norm` and the next state, for batches that are one run. */
  step: BuiltGraph;
  /** Some rows of a batch to their part of the `loss`, and sums of gradients. */
  accumulate: BuiltGraph;
  /** Sums of gradients to `norm` and the next state. */
  update: BuiltGraph;
}

type Options = Pick<
  TrainerOptions,
  'classes' | 'loss' | 'optimiser' | 'clipNorm' | 'averageDecay' | 'dropRate' | 'featureStatistics'
>;

/** The kind of tensor that holds sums of gradients, within a step. */
export const SUM = 'sum';

/** Inputs of the graphs beside the network's own and the state. */
export const INPUT = {
  targets: 'targets',
  weights: 'weights',
  /** 1 / sum of the whole batch's weights. */
  scale: 'scale',
  dropout: 'dropout',
  learningRate: 'learning_rate',
  meanCorrection: 'mean_correction',
  squareCorrection: 'square_correction',
  averageDecay: 'average_decay',
} as const;

export const OUTPUT = { loss: 'loss', norm: 'norm', logits: 'logits', features: 'features_out' } as const;

/** Kinds of state tensors that one update reads and writes: one of each for every vector. */
export function allKinds({ optimiser, averageDecay }: Options): string[] {
  return ['parameters', ...momentNames(optimiser), ...(averageDecay === null ? [] : ['average'])];
}

/** The forward pass alone. To be built before the training graphs, which go on from it. */
export function buildEvaluation(network: Network, options: Options): BuiltGraph {
  const { g } = network;
  const features = standardised(g, network.features, options.featureStatistics);
  g.output(headLogits(g, features, options.loss), OUTPUT.logits);
  g.output(network.features, OUTPUT.features);
  const evaluate = built(g);
  g.clearOutputs();
  return evaluate;
}

/** The training graphs of one network; what they share is written once, and each keeps what its outputs need. */
export function buildTraining(
  network: Network,
  options: Options,
  target: Target,
): Pick<TrainGraphs, 'step' | 'accumulate'> {
  const { g, vectors } = network;
  const detach = detaching(g);
  const loss = addLoss(g, standardised(g, network.features, options.featureStatistics), options, detach);
  const names = vectors.map((vector) => stateName('parameters', vector));
  const found = gradients(g, loss, names, { target });
  const gradientOf = (vector: StateVector): string => found.get(stateName('parameters', vector)) ?? '';
  detach.attach();
  g.output(loss, OUTPUT.loss);
  const sums: Record<string, string> = {};
  for (const vector of vectors) {
    const sum = g.input(stateName(SUM, vector), 'float32', vector.dims);
    sums[g.output(g.add(sum, gradientOf(vector)))] = sum;
  }
  const accumulate = built(g, sums);
  g.clearOutputs();

  g.output(OUTPUT.loss);
  return { accumulate, step: built(g, addUpdates(g, vectors, options, gradientOf)) };
}

/** The update alone, from sums of gradients. */
export function buildUpdate(vectors: readonly StateVector[], options: Options): BuiltGraph {
  const g = shapedGraph('the update');
  const input = (kind: string, vector: StateVector): string =>
    g.input(stateName(kind, vector), 'float32', vector.dims);
  for (const vector of vectors) input('parameters', vector);
  return built(
    g,
    addUpdates(g, vectors, options, (vector) => input(SUM, vector)),
  );
}

function addLoss(g: ShapedGraph, features: string, options: Options, detach: Detached): string {
  const [rows = 0, length = 0] = g.dims(features);
  const dropped =
    options.dropRate === 0 ? features : g.mul(features, g.input(INPUT.dropout, 'float32', [rows, length]));
  const targets = g.input(INPUT.targets, 'float32', [rows, options.classes]);
  const weights = g.input(INPUT.weights, 'float32', [rows]);
  const scale = g.input(INPUT.scale, 'float32', []);
  const losses = rowLosses(g, options.loss, {
    scores: headScores(g, dropped, options.loss),
    targets,
    detached: detach.detached,
  });
  return weightedTotal(g, losses, weights, scale);
}

function addUpdates(
  g: ShapedGraph,
  vectors: readonly StateVector[],
  options: Options,
  gradientOf: (vector: StateVector) => string,
): Record<string, string> {
  const { optimiser, clipNorm, averageDecay } = options;
  const scalar = (name: string): string => g.input(name, 'float32', []);
  const inputs = {
    learningRate: scalar(INPUT.learningRate),
    meanCorrection: scalar(INPUT.meanCorrection),
    squareCorrection: scalar(INPUT.squareCorrection),
  };
  const decay = scalar(INPUT.averageDecay);
  const raw = vectors.map((vector) => ({ vector, gradient: gradientOf(vector) }));
  const norm = gradientNorm(
    g,
    raw.map(({ gradient }) => gradient),
  );
  g.output(norm, OUTPUT.norm);
  const factor = clipNorm === null ? undefined : clipFactor(g, norm, clipNorm);
  const kinds = momentNames(optimiser);
  const writes: Record<string, string> = {};
  for (const { vector, gradient } of raw) {
    const name = (kind: string): string => stateName(kind, vector);
    const state = (kind: string): string => g.input(name(kind), 'float32', vector.dims);
    // Under their own names: another one would cost a copy.
    const next = (kind: string, value: string): void => {
      writes[g.output(value)] = name(kind);
    };
    const { parameter, moments } = addUpdate(
      g,
      optimiser,
      {
        parameter: name('parameters'),
        gradient,
        ...(factor === undefined ? {} : { factor }),
        moments: kinds.map(state),
        decays: vector.decays,
        rate: vector.rate,
      },
      inputs,
    );
    next('parameters', parameter);
    moments.forEach((moment, i) => next(kinds[i] ?? '', moment));
    if (averageDecay !== null) next('average', movedAverage(g, state('average'), parameter, decay));
  }
  return writes;
}

/** What the graph's outputs need of it. */
function built(g: ShapedGraph, writes: Readonly<Record<string, string>> = {}): BuiltGraph {
  const model = g.toModel();
  const outputs = g.outputNames();
  const graph = keepOutputs(model.graph, outputs);
  return {
    encode: () => writeModel({ ...model, graph }),
    inputs: new Set(graph.inputs.map(({ name }) => name)),
    writes,
  };
}
