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
import type { StateVector } from './state-plan.ts';
import type { TrainerOptions } from './trainer.ts';

/** A graph ready to be loaded. */
export interface BuiltGraph {
  /** The bytes of its file. */
  encode(): Uint8Array;
  /** The inputs that it has. */
  inputs: ReadonlySet<string>;
  outputs: ReadonlySet<string>;
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

/** Inputs of the graphs beside the network's own, and the tensors of state: `{kind}/{vector}`. */
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

/** Names of a state tensor as a graph's input, and of its next value as an output. */
export function stateInput(kind: string, vector: StateVector): string {
  return kind === 'parameters' ? vector.name : `${kind}/${vector.name}`;
}
export function stateOutput(kind: string, vector: StateVector): string {
  return `next/${kind}/${vector.name}`;
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
  const names = vectors.map(({ name }) => name);
  const found = gradients(g, loss, names, { target });
  detach.attach();
  g.output(loss, OUTPUT.loss);
  for (const vector of vectors) {
    const sum = g.input(stateInput('sum', vector), 'float32', vector.dims);
    g.output(g.add(sum, found.get(vector.name) ?? ''), stateOutput('sum', vector));
  }
  const accumulate = built(g);
  g.clearOutputs();

  g.output(OUTPUT.loss);
  addUpdates(g, vectors, options, (vector) => found.get(vector.name) ?? '');
  return { accumulate, step: built(g) };
}

/** The update alone, from sums of gradients. */
export function buildUpdate(vectors: readonly StateVector[], options: Options): BuiltGraph {
  const g = shapedGraph('the update');
  for (const vector of vectors) g.input(vector.name, 'float32', vector.dims);
  addUpdates(g, vectors, options, (vector) => g.input(stateInput('sum', vector), 'float32', vector.dims));
  return built(g);
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
): void {
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
  for (const { vector, gradient } of raw) {
    const state = (kind: string): string => g.input(stateInput(kind, vector), 'float32', vector.dims);
    const { parameter, moments } = addUpdate(
      g,
      optimiser,
      {
        parameter: vector.name,
        gradient,
        ...(factor === undefined ? {} : { factor }),
        moments: kinds.map(state),
        decays: vector.decays,
        rate: vector.rate,
      },
      inputs,
    );
    g.output(parameter, stateOutput('parameters', vector));
    moments.forEach((moment, i) => g.output(moment, stateOutput(kinds[i] ?? '', vector)));
    if (averageDecay === null) continue;
    g.output(movedAverage(g, state('average'), parameter, decay), stateOutput('average', vector));
  }
}

/** What the graph's outputs need of it. */
function built(g: ShapedGraph): BuiltGraph {
  const model = g.toModel();
  const outputs = g.outputNames();
  const graph = keepOutputs(model.graph, outputs);
  return {
    encode: () => writeModel({ ...model, graph }),
    inputs: new Set(graph.inputs.map(({ name }) => name)),
    outputs: new Set(outputs),
  };
}
