import { ModelError } from '../base/errors.ts';
import type { TensorData } from '../model/graph-host.ts';
import type { Dims } from './dims.ts';
import { rowsOf, weightsOf, type Rows } from './micro-batch.ts';
import { averageDecayAt, corrections } from './optimisers.ts';
import { randomStream } from './random.ts';
import { INPUT } from './train-graphs.ts';
import type { TrainBatch, TrainerOptions } from './trainer.ts';

/** Tells dropout's random numbers from others of the same seed. */
const STREAM = 0xd209;

type Feeds = Record<string, TensorData>;

/** One step's batch, ready to be fed in parts. */
export interface StepFeeds {
  rows: number;
  /** What the update takes. */
  update: () => Feeds;
  /** Rows `at` to `at + count`, padded at the end with rows of weight 0. */
  part: (at: number, count: number) => Feeds;
}

export interface StepFeedsOptions {
  options: Pick<
    TrainerOptions,
    'classes' | 'batchSize' | 'dropRate' | 'seed' | 'optimiser' | 'averageDecay' | 'pixels'
  >;
  /** The input's name and the lengths of one row of it. */
  input: string;
  inputDims: Dims;
  featureLength: number;
  /** Updates made before. */
  step: number;
  learningRate: number;
}

/** @throws ModelError `invalid_batch` for arrays whose lengths do not fit each other, or without any weight. */
export function stepFeeds(batch: TrainBatch, given: StepFeedsOptions): StepFeeds {
  const { options, input, inputDims, featureLength, step, learningRate } = given;
  const rows = batch.weights.length;
  checkBatch(batch, given);
  const total = batch.weights.reduce((sum, weight) => sum + weight, 0);
  const inputs = rowsIn(batch.inputs, rows);
  const targets = rowsIn(batch.targets, rows);
  const mask = options.dropRate === 0 ? undefined : dropoutMask(rows * featureLength, options, step);
  const scalar = (value: number): TensorData => ({ data: Float32Array.of(value), dims: [] });
  return {
    rows,
    update: () => {
      const { mean, square } = corrections(options.optimiser, step + 1);
      return {
        [INPUT.learningRate]: scalar(learningRate),
        [INPUT.meanCorrection]: scalar(mean),
        [INPUT.squareCorrection]: scalar(square),
        [INPUT.averageDecay]: scalar(averageDecayAt(options.averageDecay ?? 0, step + 1)),
      };
    },
    part: (at, count) => ({
      [input]: { data: rowsOf(inputs, at, count), dims: [count, ...inputDims] },
      [INPUT.targets]: { data: rowsOf(targets, at, count), dims: [count, options.classes] },
      [INPUT.weights]: { data: weightsOf(batch.weights, at, count), dims: [count] },
      [INPUT.scale]: scalar(1 / total),
      ...(mask === undefined
        ? {}
        : { [INPUT.dropout]: { data: rowsOf(rowsIn(mask, rows), at, count), dims: [count, featureLength] } }),
    }),
  };
}

function checkBatch({ inputs, targets, weights }: TrainBatch, given: StepFeedsOptions): void {
  const { options, inputDims } = given;
  const rows = weights.length;
  const rowLength = inputDims.reduce((product, length) => product * length, 1);
  const isBytes = inputs instanceof Uint8Array;
  const wantsBytes = inputDims.length > 1 && options.pixels === 'uint8';
  if (rows < 1 || rows > options.batchSize) {
    throw invalid(`${String(rows)} rows, expected 1 to ${String(options.batchSize)}`);
  }
  if (isBytes !== wantsBytes) throw invalid(`its inputs must be ${wantsBytes ? 'bytes' : 'float32'}`);
  if (inputs.length !== rows * rowLength || targets.length !== rows * options.classes) {
    throw invalid(
      `${String(rows)} weights, but ${String(inputs.length)} input and ${String(targets.length)} target values; ` +
        `a row has ${String(rowLength)} and ${String(options.classes)}`,
    );
  }
  if (!weights.every((weight) => weight >= 0) || !weights.some((weight) => weight > 0)) {
    throw invalid('weights must not be negative, and one must be above 0');
  }
}

function invalid(why: string): ModelError {
  return new ModelError('invalid_batch', `a training batch does not fit: ${why}`);
}

function rowsIn<A extends Float32Array | Uint8Array>(data: A, rows: number): Rows<A> {
  return { data, length: data.length / rows };
}

/** 0 for a feature that is dropped, 1 / (1 − rate) for one that stays: the same for the same seed and step. */
function dropoutMask(
  length: number,
  { dropRate, seed }: Pick<TrainerOptions, 'dropRate' | 'seed'>,
  step: number,
): Float32Array {
  const random = randomStream(seed, STREAM, step);
  const kept = 1 / (1 - dropRate);
  return Float32Array.from({ length }, () => (random() < dropRate ? 0 : kept));
}
