import { createHash } from 'node:crypto';

import type { Dataset } from './sample.ts';

/**
 * SHA-256, as hex, of the images that a run is about, their labels and how they are divided: what rows of a checkpoint
 * and its position in an epoch mean depends on them.
 */
export function dataKeyOf(
  { classNames, samples }: Pick<Dataset, 'classNames' | 'samples'>,
  { train_split: trainShare }: { train_split: number },
): string {
  const hash = createHash('sha256').update(JSON.stringify([classNames, trainShare]));
  for (const { url, label, assigned } of samples) hash.update(JSON.stringify([url, label, assigned]));
  return hash.digest('hex');
}
