import type { TrainBatch, WeightsName } from '../../training/trainer.ts';
import type { Sample } from '../sample.ts';

/** What a run learns from and is measured by: pictures, or features of pictures. */
export interface Course {
  /** Batches of one epoch. */
  readonly steps: number;
  /** The batches of an epoch (from 0), from this row of its order on. */
  batches(epoch: number, taken: number): AsyncGenerator<CourseBatch>;
  /** Logits of a split's images, those that can be had. */
  predict(split: 'val' | 'test', weights?: WeightsName): Promise<Predicted>;
}

interface CourseBatch extends TrainBatch {
  /** Rows of the epoch's order that have come so far. */
  taken: number;
}

export interface Predicted {
  samples: readonly Sample[];
  /** `[samples, classes]`. */
  logits: Float32Array;
}

/** Several arrays one after another. */
export function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
