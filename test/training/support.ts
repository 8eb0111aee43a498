import { SILENT_LOG } from '../../src/base/log.ts';
import type { Preprocessing } from '../../src/image/preprocessing.ts';
import { buildTinyVit } from '../../src/model/small/tiny-models.ts';
import { randomNumbers } from '../../src/model/small/random.ts';
import { writeModel } from '../../src/onnx/codec.ts';
import type { OnnxModel } from '../../src/onnx/types.ts';
import type { BaseModel, TrainBatch, TrainerOptions } from '../../src/training/trainer.ts';

export const SIDE = 16;
export const CLASSES = 3;
export const BATCH = 6;
export const PICTURE_BYTES = SIDE * SIDE * 3;

export const PREPROCESSING: Preprocessing = {
  resize: { kind: 'exact', width: SIDE, height: SIDE },
  resample: 'bilinear',
  crop: null,
  rescale: 1 / 255,
  mean: [0.5, 0.4, 0.3],
  std: [0.25, 0.5, 0.2],
  rescaleBeforeResize: false,
  orient: true,
  alpha: 'drop',
};

export function inMemory(model: OnnxModel, name = 'tiny'): BaseModel {
  const where = 'built by the test';
  return { name, where, bytes: writeModel(model), folder: null, preprocessing: PREPROCESSING };
}

export const tinyVit = (): OnnxModel => buildTinyVit({ size: SIDE, dim: 8 });

export function trainerOptions(given: Partial<TrainerOptions> = {}): TrainerOptions {
  return {
    model: inMemory(tinyVit()),
    features: { kind: 'output', outputs: [{ name: 'last_hidden_state', pooling: 'class_token' }] },
    classes: CLASSES,
    strategy: { kind: 'full', layerDecay: 1 },
    loss: { kind: 'cross_entropy', smoothing: 0.1 },
    optimiser: { kind: 'adamw', weightDecay: 0.05 },
    clipNorm: 1,
    averageDecay: 0.9,
    dropRate: 0.2,
    batchSize: BATCH,
    microBatch: BATCH,
    pixels: 'uint8',
    seed: 5,
    providers: ['cpu'],
    requireGpu: false,
    threads: 1,
    log: SILENT_LOG,
    ...given,
  };
}

export interface PixelBatch extends TrainBatch {
  inputs: Uint8Array;
}

/** Pictures of noise around a brightness that tells the class, which is the row's number modulo the classes. */
export function pictures(rows = BATCH, seed = 1): PixelBatch {
  const random = randomNumbers(seed);
  const inputs = Uint8Array.from({ length: rows * PICTURE_BYTES }, (_, i) => {
    const label = Math.floor(i / PICTURE_BYTES) % CLASSES;
    return 60 + 60 * label + 40 * random();
  });
  const targets = Float32Array.from({ length: rows * CLASSES }, (_, i) =>
    i % CLASSES === Math.floor(i / CLASSES) % CLASSES ? 1 : 0,
  );
  return { inputs, targets, weights: new Float32Array(rows).fill(1) };
}
