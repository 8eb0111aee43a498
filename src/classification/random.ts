import { normal as standardNormal, randomStream } from '../training/random.ts';

/** Numbers that their keys alone determine: the same on every run. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  between(low: number, high: number): number;
  /** A whole number from 0, below `limit`. */
  below(limit: number): number;
  chance(probability: number): boolean;
  /** Mean 0, deviation 1. */
  normal(): number;
  /** Of the symmetric Beta distribution with this parameter, above 0. */
  beta(alpha: number): number;
  /** Shuffles in place. */
  shuffle<T>(list: T[]): T[];
}

/** A text as a whole number (FNV-1a). */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h | 0;
}

/** A stream for these keys: other keys, other numbers. */
export function createRandom(...keys: readonly (string | number)[]): Random {
  const [seed = 0, ...labels] = keys.map((key) => (typeof key === 'string' ? hash(key) : key));
  const next = randomStream(seed, ...labels);
  const below = (limit: number): number => Math.floor(next() * limit);
  const normal = (): number => standardNormal(next);
  return {
    next,
    below,
    normal,
    between: (low, high) => low + next() * (high - low),
    chance: (probability) => next() < probability,
    beta: (alpha) => {
      const [x, y] = [gamma(alpha, next, normal), gamma(alpha, next, normal)];
      return x + y > 0 ? x / (x + y) : below(2);
    },
    shuffle: (list) => {
      for (let i = list.length - 1; i > 0; i -= 1) {
        const j = below(i + 1);
        const [a, b] = [list[i], list[j]] as [(typeof list)[number], (typeof list)[number]];
        list[i] = b;
        list[j] = a;
      }
      return list;
    },
  };
}

/** Of the Gamma distribution with scale 1 (Marsaglia and Tsang, 2000; below 1 by their boost). */
function gamma(shape: number, next: () => number, normal: () => number): number {
  if (shape < 1) return gamma(shape + 1, next, normal) * (1 - next()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
