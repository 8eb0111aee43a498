import { mulberry32 } from '../../base/random.ts';
import { floor, imul } from './maths.ts';

/** A stream of numbers that its keys alone determine. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  between(low: number, high: number): number;
  /** A whole number, both ends included. */
  integer(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  shuffle<T>(list: readonly T[]): T[];
  /** Mean 0, deviation 1. */
  normal(): number;
}

/** Mixes any keys into 32 bits (FNV-1a with a final avalanche). */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = imul(h ^ text.charCodeAt(i), 0x01000193);
  h = imul(h ^ (h >>> 16), 0x85ebca6b);
  h = imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The same keys give the same numbers on every machine: whole-number arithmetic and nothing else. */
export function createRandom(...keys: readonly (string | number)[]): Random {
  const next = mulberry32(hash(keys.join('\u0000')));
  const integer = (low: number, high: number) => low + floor(next() * (high - low + 1));
  return {
    next,
    between: (low, high) => low + next() * (high - low),
    integer,
    chance: (probability) => next() < probability,
    pick: (list) => {
      if (list.length === 0) throw new RangeError('nothing to pick from: the list is empty');
      return list[integer(0, list.length - 1)] as (typeof list)[number];
    },
    shuffle: (list) => {
      const out = [...list];
      for (let i = out.length - 1; i > 0; i--) {
        const j = integer(0, i);
        [out[i], out[j]] = [out[j] as (typeof out)[number], out[i] as (typeof out)[number]];
      }
      return out;
    },
    normal: () => next() + next() + next() + next() + next() + next() - 3 + (next() - next()) * 0.6,
  };
}
