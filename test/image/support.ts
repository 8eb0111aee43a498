import { readFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';

import type { Preprocessing } from '../../src/image/preprocessing.ts';

export const FIXTURES = path.join(import.meta.dirname, '../fixtures/images');

/** Numbers that no test here looks at: decoding ends at 8 bits. */
const NUMBERS = { rescale: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1], rescaleBeforeResize: false } as const;

export function preprocessing(part: Partial<Preprocessing> = {}): Preprocessing {
  const resize = { kind: 'exact', width: 32, height: 24 } as const;
  return { ...NUMBERS, resize, resample: 'bicubic', crop: null, orient: true, alpha: 'drop', ...part };
}

export function fixture(name: string): Promise<Buffer> {
  return readFile(path.join(FIXTURES, name));
}

/** The RGB bytes of a lossless file. */
export async function pixelsOf(name: string): Promise<Uint8Array> {
  return new Uint8Array(await sharp(path.join(FIXTURES, name)).removeAlpha().raw().toBuffer());
}

/** Mean and largest absolute difference, on the scale of 0 to 255. */
export function difference(a: Uint8Array, b: Uint8Array): { mean: number; max: number } {
  if (a.length !== b.length) throw new Error(`lengths differ: ${String(a.length)} and ${String(b.length)}`);
  let [sum, max] = [0, 0];
  for (const [i, value] of a.entries()) {
    const d = Math.abs(value - (b[i] ?? 0));
    sum += d;
    max = Math.max(max, d);
  }
  return { mean: sum / a.length, max };
}
