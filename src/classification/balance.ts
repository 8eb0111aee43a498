import { IMBALANCED, imbalanceOf, type ClassCount } from './data-report.ts';
import type { Sample } from './sample.ts';
import type { TrainingConfig } from './input-config.ts';

/** How unequal classes are made up for. */
export interface Balance {
  /** 0: as often as they are there; 1: every class equally often; between: in between. */
  sampling: number;
  /** A weight a class, 1 on the whole of an epoch. */
  classWeights: Float32Array;
  /** For the log and the report. */
  told: string;
}

/** A class of one image would otherwise outweigh everything. */
const MAX_CLASS_WEIGHT = 10;

/**
 * What a job asks for, and by itself where the largest class has more than 3 times the images of the smallest: then
 * sampling goes half of the way and weights the other half, so that neither shows the same few images again and again
 * nor makes single steps violent (Mahajan et al., 2018, sample by the root too).
 */
export function balanceOf(
  classes: readonly ClassCount[],
  {
    use_class_weights: asked,
    balanced_sampling: sample,
  }: Pick<TrainingConfig, 'use_class_weights' | 'balanced_sampling'>,
): Balance {
  const automatic = imbalanceOf(classes) > IMBALANCED;
  const weighted = asked || automatic;
  const sampled = sample ?? automatic;
  const sampling = sampled ? (weighted ? 0.5 : 1) : 0;
  const sizes = classes.map(({ train }) => train);
  const shown = sizes.map((size) => (size === 0 ? 0 : size ** (1 - sampling)));
  const classWeights = weighted ? weightsOf(shown) : new Float32Array(sizes.length).fill(1);
  const told = [sampled ? 'rare classes are shown more often' : '', weighted ? 'and count more' : '']
    .filter((part) => part !== '')
    .join(' ')
    .replace(/^and /, 'rare classes ');
  const why = automatic && !(asked && sample !== undefined) ? ' (imbalanced above 3:1)' : '';
  return { sampling, classWeights, told: told === '' ? 'every image counts the same' : told + why };
}

/** Inverse to how often each class is shown, 1 on the whole. */
function weightsOf(shown: readonly number[]): Float32Array {
  const inverse = shown.map((share) => (share === 0 ? 0 : 1 / share));
  const total = shown.reduce((a, b) => a + b, 0);
  const mean = shown.reduce((sum, share, i) => sum + share * (inverse[i] ?? 0), 0) / total;
  return Float32Array.from(inverse, (weight) => Math.min(MAX_CLASS_WEIGHT, weight / mean));
}

/** How often each image is shown, for `epochOrder`; undefined where each is shown once. */
export function rowWeights(samples: readonly Sample[], sampling: number): Float32Array | undefined {
  if (sampling === 0) return undefined;
  const sizes = new Map<number, number>();
  for (const { label } of samples) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  return Float32Array.from(samples, ({ label }) => (sizes.get(label) ?? 1) ** -sampling);
}
