import type { Size } from '../../image/geometry.ts';
import { epochOrder } from '../../training/sampler.ts';
import type { Trainer } from '../../training/trainer.ts';
import { mixedTargets, planMix, type MixOptions } from '../augment/mix.ts';
import type { Recipe } from '../augment/recipe.ts';
import { rowWeights, type Balance } from '../balance.ts';
import type { Loader } from '../pictures/loader.ts';
import type { Splits } from '../plan-data.ts';
import { createRandom } from '../random.ts';
import type { Sample } from '../sample.ts';
import { joined, type Course } from './course.ts';

export interface PixelCourseOptions {
  trainer: Pick<Trainer, 'evaluate'>;
  loader: Loader;
  splits: Splits;
  classes: number;
  size: Size;
  recipe: Recipe;
  /** Null: batches are not mixed. */
  mix: MixOptions | null;
  balance: Balance;
  batchSize: number;
  seed: number;
  signal: AbortSignal;
}

/** Tells the numbers of views and mixtures apart. */
const VIEWS = 1;
const MIXES = 2;

/**
 * Learning from pictures: a new view of each in each epoch, keyed by the run's seed, the epoch and the row, so that a
 * run that goes on in the middle of an epoch sees what it would have seen.
 */
export function pixelCourse(options: PixelCourseOptions): Course {
  const { trainer, loader, splits, batchSize, seed, balance, classes, signal } = options;
  const weights = rowWeights(splits.train, balance.sampling);
  return {
    steps: Math.ceil(splits.train.length / batchSize),
    async *batches(epoch, taken) {
      const order = epochOrder({ count: splits.train.length, seed, epoch, ...(weights && { weights }) });
      const random = {
        recipe: options.recipe,
        keys: (_: Sample, place: number) => [seed, VIEWS, epoch, taken + place],
        mix: (place: number) =>
          options.mix && planMix(options.mix, options.size, createRandom(seed, MIXES, epoch, taken + place)),
      };
      const samples = inOrder(splits.train, order.subarray(taken));
      for await (const batch of loader.batches({ samples, batchSize, random })) {
        const labels = batch.samples.map(({ label }) => label);
        yield {
          inputs: batch.pixels,
          ...mixedTargets(labels, { classes, classWeights: balance.classWeights, plan: batch.plan }),
          taken: taken + batch.end,
        };
      }
    },
    async predict(split, named) {
      const samples: Sample[] = [];
      const logits: Float32Array[] = [];
      for await (const batch of loader.batches({ samples: splits[split], batchSize, random: null })) {
        const evaluation = { signal, ...(named && { weights: named }) };
        logits.push(await trainer.evaluate(batch.pixels, batch.samples.length, evaluation));
        samples.push(...batch.samples);
      }
      return { samples, logits: joined(logits) };
    },
  };
}

function* inOrder(samples: readonly Sample[], order: Uint32Array): Generator<Sample> {
  for (const row of order) {
    const sample = samples[row];
    if (sample !== undefined) yield sample;
  }
}
