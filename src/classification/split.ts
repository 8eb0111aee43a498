import { createHash } from 'node:crypto';

import type { Sample, Split } from './sample.ts';

export interface SplitOptions {
  /** Of the images that are divided, the part to train with. */
  trainShare: number;
  seed: number;
  /** What makes two images the same: they come to the same side. */
  keyOf: (sample: Sample) => string;
}

export interface Divided {
  splits: Map<Sample, Split>;
  /** No image was left to validate with, so that some of those assigned to training were taken. */
  tookFromTraining: boolean;
}

/**
 * The split of each image: as assigned, else drawn by the seed, class by class. Which side an image comes to depends on
 * the seed and the image alone, as far as that can be: one image more or less moves no other one but at the border.
 */
export function divide(samples: readonly Sample[], options: SplitOptions): Divided {
  const splits = new Map<Sample, Split>();
  for (const sample of samples) if (sample.assigned !== null) splits.set(sample, sample.assigned);
  draw(
    samples.filter(({ assigned }) => assigned === null),
    options,
    splits,
  );
  const isWithoutVal = samples.length > 0 && ![...splits.values()].includes('val');
  const tookFromTraining = isWithoutVal && samples.some((sample) => splits.get(sample) === 'train');
  if (tookFromTraining) {
    draw(
      samples.filter((sample) => splits.get(sample) === 'train'),
      options,
      splits,
    );
  }
  return { splits, tookFromTraining };
}

function draw(
  samples: readonly Sample[],
  { trainShare, seed, keyOf }: SplitOptions,
  splits: Map<Sample, Split>,
): void {
  for (const ofClass of Map.groupBy(samples, ({ label }) => label).values()) {
    const pictures = [...Map.groupBy(ofClass, keyOf)]
      .map(([key, group]) => ({ group, rank: rankOf(seed, key) }))
      .sort((a, b) => (a.rank < b.rank ? -1 : 1));
    const toValidate = validationCount(pictures.length, trainShare);
    for (const [i, { group }] of pictures.entries()) {
      for (const sample of group) splits.set(sample, i < toValidate ? 'val' : 'train');
    }
  }
}

/** At least one on each side, where there are two. */
function validationCount(pictures: number, trainShare: number): number {
  if (pictures < 2) return 0;
  return Math.min(pictures - 1, Math.max(1, Math.round(pictures * (1 - trainShare))));
}

function rankOf(seed: number, key: string): string {
  return createHash('sha256').update(`${seed}/${key}`).digest('hex');
}
