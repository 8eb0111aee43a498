import { epochOrder } from '../../training/sampler.ts';
import type { Trainer } from '../../training/trainer.ts';
import { mixedTargets, partnerOf, type MixPlan } from '../augment/mix.ts';
import { rowWeights, type Balance } from '../balance.ts';
import { createRandom } from '../random.ts';
import type { Course, Predicted } from './course.ts';
import type { FeatureSet } from './features.ts';

export interface FeatureCourseOptions {
  trainer: Pick<Trainer, 'evaluate'>;
  /** Views of the images to train with, one set a view, of the same images: an epoch takes one after another. */
  views: readonly FeatureSet[];
  /** Plain views of the images to measure with. */
  held: Readonly<Record<'val' | 'test', FeatureSet>>;
  length: number;
  classes: number;
  /** 0: features are not mixed. */
  mixupAlpha: number;
  balance: Balance;
  batchSize: number;
  seed: number;
  signal: AbortSignal;
}

const MIXES = 4;

/** Learning a head from features that were made once: an epoch takes milliseconds. */
export function featureCourse(options: FeatureCourseOptions): Course {
  const { trainer, views, held, length, classes, balance, batchSize, seed, signal } = options;
  const [first] = views;
  const samples = first?.samples ?? [];
  const weights = rowWeights(samples, balance.sampling);

  const planOf = (epoch: number, place: number): MixPlan | null =>
    options.mixupAlpha > 0
      ? { kind: 'mixup', share: createRandom(seed, MIXES, epoch, place).beta(options.mixupAlpha) }
      : null;

  return {
    steps: Math.ceil(samples.length / batchSize),
    // A course may have to wait for its batches; this one never does.
    // eslint-disable-next-line @typescript-eslint/require-await
    async *batches(epoch, taken) {
      const { features = new Float32Array(0) } = views[epoch % views.length] ?? {};
      const order = epochOrder({ count: samples.length, seed, epoch, ...(weights && { weights }) });
      for (let at = taken; at < order.length; at += batchSize) {
        const rows = order.subarray(at, at + batchSize);
        const inputs = new Float32Array(rows.length * length);
        for (const [i, row] of rows.entries()) {
          inputs.set(features.subarray(row * length, (row + 1) * length), i * length);
        }
        const plan = planOf(epoch, at);
        if (plan !== null) blendRows(inputs, length, plan.share);
        const labels = Array.from(rows, (row) => samples[row]?.label ?? 0);
        yield {
          inputs,
          ...mixedTargets(labels, { classes, classWeights: balance.classWeights, plan }),
          taken: at + rows.length,
        };
      }
    },
    async predict(split, named): Promise<Predicted> {
      const set = held[split];
      const evaluation = { signal, ...(named && { weights: named }) };
      const logits = await trainer.evaluate(set.features, set.samples.length, evaluation);
      return { samples: set.samples, logits };
    },
  };
}

/** Each row with its partner from the other end, in place. */
function blendRows(inputs: Float32Array, length: number, share: number): void {
  const rows = inputs.length / length;
  for (let i = 0; i < rows >> 1; i += 1) {
    const [a, b] = [i * length, partnerOf(i, rows) * length];
    for (let k = 0; k < length; k += 1) {
      const [one, other] = [inputs[a + k] ?? 0, inputs[b + k] ?? 0];
      inputs[a + k] = share * one + (1 - share) * other;
      inputs[b + k] = share * other + (1 - share) * one;
    }
  }
}
