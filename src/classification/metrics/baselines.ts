import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

import { HandlerError, messageOf } from '../../base/errors.ts';
import { abortable } from '../../flow/time.ts';
import type { BaselineOptions, LabelledFeatures } from './nearest.ts';

/** What frozen features alone can do, before anything is trained. Percent of the validation images. */
export interface Baselines {
  knn_acc: number;
  ridge_acc: number;
  /** Images that the figures come from: of large sets a part. */
  train_images: number;
  val_images: number;
}

export interface BaselinesOptions {
  train: LabelledFeatures;
  val: LabelledFeatures;
  length: number;
  classes: number;
  signal: AbortSignal;
}

/** Multiplications of one baseline: some seconds of one core. */
const MAX_WORK = 4e9;
const MAX_VALIDATION = 2_000;

// The compiler does not rewrite this name: the thread's file has the ending that this one runs with.
const THREAD = new URL(`./baselines-thread${extname(import.meta.url)}`, import.meta.url);

/** k-nearest neighbours and ridge regression on features, in a thread of its own; bounded, whatever the set's size. */
export async function measureBaselines(options: BaselinesOptions): Promise<Baselines> {
  const { length, classes, signal } = options;
  const val = everySoMany(options.val, length, MAX_VALIDATION);
  const nearest = everySoMany(options.train, length, MAX_WORK / (Math.max(1, val.labels.length) * length));
  const ridge = everySoMany(options.train, length, ridgeRows(length));
  const with_ = (train: LabelledFeatures): BaselineOptions => ({
    train,
    queries: val.features,
    length,
    classes,
  });
  const found = await inThread({ nearest: with_(nearest), ridge: with_(ridge) }, signal);
  const accuracy = (classesFound: readonly number[]): number =>
    (100 * classesFound.filter((label, i) => label === val.labels[i]).length) /
    Math.max(1, val.labels.length);
  return {
    knn_acc: accuracy(found.nearest),
    ridge_acc: accuracy(found.ridge),
    train_images: nearest.labels.length,
    val_images: val.labels.length,
  };
}

/** Work of ridge regression is rows · length² where there are more rows than features, else rows² · length. */
function ridgeRows(length: number): number {
  return Math.max(MAX_WORK / length ** 2, Math.min(length, Math.sqrt(MAX_WORK / length)));
}

/** At most so many rows, evenly out of all. */
export function everySoMany(set: LabelledFeatures, length: number, most: number): LabelledFeatures {
  const rows = set.labels.length;
  const kept = Math.min(rows, Math.max(1, Math.floor(most)));
  if (kept === rows) return set;
  const features = new Float32Array(kept * length);
  const labels = Array.from({ length: kept }, (_, i) => {
    const from = Math.floor((i * rows) / kept);
    features.set(set.features.subarray(from * length, (from + 1) * length), i * length);
    return set.labels[from] ?? 0;
  });
  return { features, labels };
}

async function inThread(
  work: { nearest: BaselineOptions; ridge: BaselineOptions },
  signal: AbortSignal,
): Promise<{ nearest: number[]; ridge: number[] }> {
  const worker = new Worker(THREAD, { workerData: work });
  const answer = new Promise<{ nearest: number[]; ridge: number[] }>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', (error) => {
      reject(new HandlerError('internal', `the baselines could not be measured: ${messageOf(error)}`));
    });
  });
  try {
    return await abortable(answer, signal);
  } finally {
    await worker.terminate();
  }
}
