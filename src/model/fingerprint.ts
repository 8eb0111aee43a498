import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';

import type { Preprocessing } from '../image/preprocessing.ts';

export interface FingerprintParts {
  name: string;
  /** Everything that holds weights, in a fixed order: the model's bytes, then the paths of files beside it. */
  weights: readonly (Uint8Array | string)[];
  preprocessing: Preprocessing;
  /** Which output is taken, and what becomes of it. */
  pooling: { output: string; pooling: string; normalise: 'l2' };
}

/** 64 bits: two models of one name that collide would be a one in 10^19 accident. */
const HEX_DIGITS = 16;

/**
 * `{name}@{16 hex}`: equal where vectors can be compared, and different as soon as the weights, the preprocessing
 * (orientation and alpha among it) or the pooling differ. Where the files lie, the batch size and the provider play
 * no part. Files are streamed, never held whole.
 */
export async function fingerprintOf(parts: FingerprintParts): Promise<string> {
  const hash = createHash('sha256');
  for (const part of parts.weights) {
    // Each part is hashed alone first, so that moving a byte from one file to the next is a difference too.
    hash.update(await digestOf(part));
  }
  hash.update(stableJson({ preprocessing: parts.preprocessing, pooling: parts.pooling }));
  return `${parts.name}@${hash.digest('hex').slice(0, HEX_DIGITS)}`;
}

async function digestOf(part: Uint8Array | string): Promise<Buffer> {
  const hash: Hash = createHash('sha256');
  if (typeof part !== 'string') return hash.update(part).digest();
  for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest();
}

/** JSON whose keys are sorted at every depth. */
function stableJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stableJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, v]) => `${JSON.stringify(key)}:${stableJson(v)}`).join(',')}}`;
}
