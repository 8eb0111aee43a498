import { IMBALANCED, imbalanceOf, type ClassCount } from './data-report.ts';
import type { Sample } from './dataset.ts';
import type { TrainingConfig } from './input-config.ts';
import { createRandom } from './random.ts';

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

export interface EpochOptions {
  seed: number;
  /** From 1. */
  epoch: number;
  /** See `Balance`. */
  sampling: number;
}

/**
 * The images of one epoch in order, as many as there are: each once, or, where classes are balanced, those of rare
 * classes several times and of frequent ones a part, another one in each epoch. Seed and epoch alone determine it.
 */
export function epochOrder(samples: readonly Sample[], { seed, epoch, sampling }: EpochOptions): Sample[] {
  const random = createRandom(seed, 'epoch', epoch);
  if (sampling === 0) return random.shuffle([...samples]);
  const classes = [...Map.groupBy(samples, ({ label }) => label)].sort(([a], [b]) => a - b);
  const shares = classes.map(([, images]) => images.length ** (1 - sampling));
  const total = shares.reduce((a, b) => a + b, 0);
  const counts = apportion(shares.map((share) => (share / total) * samples.length));
  const order = classes.flatMap(([label, images], i) => {
    const count = counts[i] ?? 0;
    return inRounds(images, { from: (epoch - 1) * count, count, keys: [seed, 'class', label] });
  });
  return random.shuffle(order);
}

interface Rounds {
  from: number;
  count: number;
  keys: readonly (string | number)[];
}

/** A part of the endless list that shows all images, shuffled, then all again: none comes twice before all have come. */
function inRounds(images: readonly Sample[], { from, count, keys }: Rounds): Sample[] {
  const out: Sample[] = [];
  for (let round = Math.floor(from / images.length); out.length < count; round += 1) {
    const order = createRandom(...keys, round).shuffle([...images]);
    const first = Math.max(0, from - round * images.length);
    out.push(...order.slice(first, first + count - out.length));
  }
  return out;
}

/** Whole numbers with the same sum, each next to its share (largest remainders first). */
function apportion(shares: readonly number[]): number[] {
  const counts = shares.map(Math.floor);
  const missing = Math.round(shares.reduce((a, b) => a + b, 0)) - counts.reduce((a, b) => a + b, 0);
  const byRemainder = shares
    .map((share, i) => ({ i, remainder: share - Math.floor(share) }))
    .sort((a, b) => b.remainder - a.remainder || a.i - b.i);
  for (const { i } of byRemainder.slice(0, missing)) counts[i] = (counts[i] ?? 0) + 1;
  return counts;
}
