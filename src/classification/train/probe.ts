import type { Log } from '../../base/log.ts';
import { createTrainer } from '../../training/create-trainer.ts';
import type { TrainerOptions } from '../../training/trainer.ts';
import type { Recipe } from '../augment/recipe.ts';
import { measureBaselines, type Baselines } from '../metrics/baselines.ts';
import type { LabelledFeatures } from '../metrics/nearest.ts';
import type { Loader } from '../pictures/loader.ts';
import type { Splits } from '../plan-data.ts';
import type { Sample } from '../sample.ts';
import { featuresOf, statisticsOf, type FeatureSet, type FeatureStatistics } from './features.ts';

/** What the model's own features say of the data, before anything is trained. */
export interface Probe {
  /** Of the images to train with: plain views first, then random ones, of the same images. */
  views: FeatureSet[];
  held: Record<'val' | 'test', FeatureSet>;
  length: number;
  /** On what the features were made. */
  provider: string;
  statistics: FeatureStatistics;
}

export interface ProbeOptions {
  /** For a trainer of the strategy `head`. */
  trainer: TrainerOptions;
  loader: Loader;
  splits: Splits;
  /** Of what random views are made; how many there are is found out by memory. */
  recipe: Recipe;
  seed: number;
  /** Of how many images to train with, and how many views of each, given on what the features are made. */
  extent: (provider: string) => { images: number; views: number };
  onProgress: (progress: { images: number; total: number }) => void;
  signal: AbortSignal;
}

/** Features of all views together. */
const MAX_VIEW_BYTES = 512 * 2 ** 20;

export async function probe(options: ProbeOptions): Promise<Probe> {
  const { loader, splits, recipe, seed, signal } = options;
  await using trainer = await createTrainer({ ...options.trainer, strategy: { kind: 'head' } });
  const length = trainer.featureLength;
  const wanted = options.extent(trainer.provider);
  const train = evenly(splits.train, wanted.images);
  const most = Math.max(1, Math.floor(MAX_VIEW_BYTES / (train.length * length * 4)));
  const count = Math.min(most, wanted.views);
  const total = train.length * count + splits.val.length + splits.test.length;
  let done = 0;
  const make = async (samples: readonly Sample[], number: number): Promise<FeatureSet> => {
    const set = await featuresOf({
      trainer,
      loader,
      samples,
      view: number === 0 ? null : { recipe, seed, number },
      signal,
      onProgress: (images) => {
        options.onProgress({ images: done + images, total });
      },
    });
    done += samples.length;
    return set;
  };
  const first = await make(train, 0);
  const held = { val: await make(splits.val, 0), test: await make(splits.test, 0) };
  const views = [first];
  while (views.length < count) views.push(await make(first.samples, views.length));
  return {
    views,
    held,
    length,
    provider: trainer.provider,
    statistics: statisticsOf(first.features, length),
  };
}

/** At most so many, evenly out of all. */
function evenly(samples: readonly Sample[], most: number): readonly Sample[] {
  if (samples.length <= most) return samples;
  const share = most / samples.length;
  return samples.filter((_, i) => Math.floor((i + 1) * share) > Math.floor(i * share));
}

/** The first result of a run: what frozen features can do. */
export async function baselinesOf(
  { views, held, length }: Probe,
  { classes, log, signal }: { classes: number; log: Log; signal: AbortSignal },
): Promise<Baselines | null> {
  const [first] = views;
  if (first === undefined || first.samples.length === 0 || held.val.samples.length === 0) return null;
  const labelled = ({ samples, features }: FeatureSet): LabelledFeatures => ({
    features,
    labels: samples.map(({ label }) => label),
  });
  const found = await measureBaselines({
    train: labelled(first),
    val: labelled(held.val),
    length,
    classes,
    signal,
  });
  log.info(
    `[Baseline] Frozen features: k-NN ${found.knn_acc.toFixed(2)}%, ridge ${found.ridge_acc.toFixed(2)}%`,
    { ...found },
  );
  return found;
}
