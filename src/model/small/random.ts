import { mulberry32 } from '../../base/random.ts';

/** Numbers in [-1, 1) that are the same for the same seed on every machine. */
export function randomNumbers(seed: number): () => number {
  const next = mulberry32(seed);
  return () => 2 * next() - 1;
}
