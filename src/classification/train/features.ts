import type { Trainer } from '../../training/trainer.ts';
import type { Recipe } from '../augment/recipe.ts';
import type { Loader } from '../pictures/loader.ts';
import type { Sample } from '../sample.ts';
import { joined } from './course.ts';

/** Features of images, as the model gave them before anything was learnt. */
export interface FeatureSet {
  samples: readonly Sample[];
  /** `[samples, length]`. */
  features: Float32Array;
}

export interface FeaturesOptions {
  trainer: Pick<Trainer, 'features'>;
  loader: Loader;
  samples: readonly Sample[];
  /** Null: of plain views. Else of the random view with this number. */
  view: { recipe: Recipe; seed: number; number: number } | null;
  signal: AbortSignal;
  onProgress?: (images: number) => void;
}

/** Images whose features are asked for at once. */
const BATCH = 64;
/** Tells these views from those of an epoch. */
const VIEWS = 3;

export async function featuresOf(options: FeaturesOptions): Promise<FeatureSet> {
  const { trainer, loader, view, signal, onProgress } = options;
  const random = view && {
    recipe: view.recipe,
    keys: (_: Sample, place: number) => [view.seed, VIEWS, view.number, place],
    mix: () => null,
  };
  const samples: Sample[] = [];
  const features: Float32Array[] = [];
  for await (const batch of loader.batches({ samples: options.samples, batchSize: BATCH, random })) {
    features.push(await trainer.features(batch.pixels, batch.samples.length, { signal }));
    samples.push(...batch.samples);
    onProgress?.(samples.length);
  }
  return { samples, features: joined(features) };
}

export interface FeatureStatistics {
  mean: Float32Array;
  deviation: Float32Array;
}

/** A feature that is always the same says nothing, and must not be divided by nothing. */
const LEAST_DEVIATION = 1e-6;

export function statisticsOf(features: Float32Array, length: number): FeatureStatistics {
  const rows = Math.max(1, features.length / length);
  const [sums, squares] = [new Float64Array(length), new Float64Array(length)];
  for (const [i, value] of features.entries()) sums[i % length] = (sums[i % length] ?? 0) + value;
  const mean = Float32Array.from(sums, (sum) => sum / rows);
  for (const [i, value] of features.entries()) {
    squares[i % length] = (squares[i % length] ?? 0) + (value - (mean[i % length] ?? 0)) ** 2;
  }
  const deviation = Float32Array.from(squares, (sum) => Math.max(LEAST_DEVIATION, Math.sqrt(sum / rows)));
  return { mean, deviation };
}
