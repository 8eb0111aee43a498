import type { Log } from '../base/log.ts';
import type { ExecutionProvider } from '../base/settings.ts';
import type { Preprocessing } from '../image/preprocessing.ts';
import type { LossSpec } from './loss-spec.ts';
import type { OptimiserSpec } from './optimiser-spec.ts';

/** The file that training starts from; what `findModelFiles` gives fits. */
export interface BaseModel {
  /** What people call it. */
  name: string;
  /** Where messages say that it lies. */
  where: string;
  bytes: Uint8Array;
  /** The folder of files beside it that hold weights; null where there are none. */
  folder: string | null;
  preprocessing: Preprocessing;
}

/**
 * Where the features come from that the head reads, `[rows, length]`: an output of the file (the first of these that
 * it has), or, for a file that ends in a classifier, what that classifier's last linear layer reads.
 */
export type FeatureSource =
  | { kind: 'output'; outputs: readonly { name: string; pooling: 'class_token' | 'as_is' }[] }
  | { kind: 'before_classifier' };

export type Strategy =
  /** A head on cached features: `step` takes features, the backbone stays as it is. */
  | { kind: 'head' }
  /**
   * Low-rank updates on the weights of every linear layer, and the head (Hu et al., 2021): W + alpha / rank · A · B.
   */
  | { kind: 'lora'; rank: number; alpha: number }
  /** The last `layers` layers that have weights, and the head. */
  | { kind: 'last_k'; layers: number }
  /**
   * Everything. A layer's learning rate is `layerDecay` times that of the layer above it; 1 = the same for all
   * (Clark et al., 2020; as in BEiT and MAE).
   */
  | { kind: 'full'; layerDecay: number };

export interface TrainerOptions {
  model: BaseModel;
  features: FeatureSource;
  classes: number;
  strategy: Strategy;
  loss: LossSpec;
  optimiser: OptimiserSpec;
  /** Gradients are scaled down to this norm; null = never. */
  clipNorm: number | null;
  /**
   * Decay of the moving average of the weights; null = none is kept. In the first steps it is lower, so that a short
   * run's average forgets where it began: min(decay, (1 + step) / (10 + step)).
   */
  averageDecay: number | null;
  /** Share of the features that is dropped in front of the head in training, 0 to below 1. */
  dropRate: number;
  /** Rows of the largest batch that `step` is given. */
  batchSize: number;
  /**
   * Rows of one run; a step is as many runs as its batch needs. By default found by a trial run: one run stays below
   * a second and a half. Numbers are the same, bit for bit, only where this is.
   */
  microBatch?: number;
  /** What `step` takes as pixels: bytes, or float32 on the same scale (0 to 255), for blends such as mixup. */
  pixels: 'uint8' | 'float32';
  /** Feature length by length, taken off and divided by in front of the head: the head then learns as fast on any scale. */
  featureStatistics?: { mean: Float32Array; deviation: Float32Array };
  /** Of the head's first weights and of dropout. */
  seed: number;
  /** The head to begin with, of a trainer with the same features and classes; by default random. */
  head?: HeadWeights;
  providers: readonly ExecutionProvider[];
  requireGpu: boolean;
  /** CPU threads of one run; by default the machine's cores. */
  threads?: number;
  /** Where passing files go; by default the system's own folder for these. */
  folder?: string;
  /** While the trainer is made: when it aborts, that ends after the run under way. */
  signal?: AbortSignal;
  log: Log;
}

/** A head's learnt values, and what stands in front of it. */
export interface HeadWeights {
  /** `[length, classes]`. */
  weight: Float32Array;
  /** `[classes]`; null for heads on angles (ArcFace, CosFace), which have none. */
  bias: Float32Array | null;
  featureStatistics?: { mean: Float32Array; deviation: Float32Array };
}

export interface TrainBatch {
  /**
   * `[rows, height, width, 3]` RGB pixels (bytes or float32, as the trainer was told), or `[rows, length]` float32
   * features for the strategy `head`.
   */
  inputs: Uint8Array | Float32Array;
  /** `[rows, classes]`, each row sums to 1: soft labels as mixup makes them. Smoothing is the loss' own. */
  targets: Float32Array;
  /** `[rows]`, not negative: a class weight, or 0 for a row that counts for nothing. Their sum is divided by. */
  weights: Float32Array;
}

interface StepOptions {
  learningRate: number;
  /** Looked at between runs: a step that is stopped has changed nothing. */
  signal?: AbortSignal;
}

export interface StepResult {
  /** The batch's weighted mean loss, before the step. */
  loss: number;
  /** Of all gradients together, before clipping. */
  gradientNorm: number;
}

/** `current`: as the last step left them; `average`: the moving average; `best`: those of the last `markBest`. */
export type WeightsName = 'current' | 'average' | 'best';

interface EvaluateOptions {
  /** Default: `average` where one is kept, else `current`. */
  weights?: WeightsName;
  signal?: AbortSignal;
}

/** Everything that a run continues from; arrays are copies. */
export interface TrainerState {
  /** SHA-256 of what the numbers mean: model, strategy, loss, optimiser, shapes. */
  configuration: string;
  /** Updates made. */
  step: number;
  microBatch: number;
  /** Of dropout's random numbers. */
  random: readonly number[];
  /** Parameters, moments, average, best; by name. */
  vectors: Readonly<Record<string, Float32Array>>;
}

export interface ExportOptions {
  /** Where `model.onnx` goes (and `model.onnx.data` where it is needed). */
  folder: string;
  weights?: WeightsName;
  classNames: readonly string[];
  /** Logits are divided by it before softmax; default 1. Written to the metadata, not into the graph. */
  temperature?: number;
  /** Further metadata; keys and values are text. */
  metadata?: Readonly<Record<string, string>>;
  /** A real batch, as `evaluate` takes it: the exported file must give the same logits. */
  check: { pixels: Uint8Array; count: number };
  /** When it aborts, the export and the trainer with it end after the run under way. */
  signal?: AbortSignal;
}

export interface ExportReport {
  /** The graph's file first. */
  files: readonly string[];
  /** Name of the output that holds the logits. */
  output: string;
  /** Largest difference of a logit between training graph and exported file. */
  maxAbsDifference: number;
}

/** A model that learns, in a thread of its own. Calls queue up; one run at a time. */
export interface Trainer extends AsyncDisposable {
  readonly provider: string;
  /** Length of the features. */
  readonly featureLength: number;
  /** Rows of one run at this moment; halved when memory runs out. */
  readonly microBatch: number;
  /** Numbers that are trained, and all numbers of the model with its head. */
  readonly parameters: { readonly trained: number; readonly all: number };
  /**
   * One update from a batch of 1 to `batchSize` rows. Arrays are copied at once, so they are the caller's again when
   * this returns its promise.
   * @throws ModelError `out_of_memory` at a run of one row, `loss_not_finite` (nothing was changed); StoppedError.
   */
  step(batch: TrainBatch, options: StepOptions): Promise<StepResult>;
  /**
   * Logits `[count, classes]`, without dropout and margins. `inputs` are `[count, height, width, 3]` bytes; for the
   * strategy `head` also features `[count, length]` (a Float32Array).
   */
  evaluate(
    inputs: Uint8Array | Float32Array,
    count: number,
    options?: EvaluateOptions,
  ): Promise<Float32Array>;
  /**
   * Features `[count, length]` of pictures: of the file's own weights for the strategy `head`, else of those that
   * `evaluate` takes.
   */
  features(pixels: Uint8Array, count: number, options?: EvaluateOptions): Promise<Float32Array>;
  /** Keeps a copy of these weights (default as `evaluate`) as `best`; part of the state. */
  markBest(weights?: WeightsName): Promise<void>;
  /** The head as it is, for the next trainer of the same run. */
  head(weights?: WeightsName): Promise<HeadWeights>;
  state(): Promise<TrainerState>;
  /** @throws ModelError `checkpoint_mismatch` for a state of another configuration. */
  restore(state: TrainerState): Promise<void>;
  /**
   * @throws ModelError `export_differs` where the file's logits are off by more than 1e-4, and by more than a hundred
   * thousandth of the largest; compared on the CPU.
   */
  exportModel(options: ExportOptions): Promise<ExportReport>;
  /** Ends the thread; calls that still wait are refused. */
  close(): Promise<void>;
}
