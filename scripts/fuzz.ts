/**
 * Decodes mutated files of the corpus in watched processes: `npm run fuzz -- --seconds 60 --seed 1`. The same seed makes
 * the same files in the same order; how far it comes depends on the machine. A crash, a hang, memory beyond the bound
 * or an error without a code is a find: the file is written to a folder, cut down to what is needed, and the exit code
 * is 1. Finds are kept in test/fixtures/fuzz, where a test decodes them for ever.
 */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { corpus } from '../test/support/corpus.ts';
import { dice, mutate } from '../test/support/corpus/mutate.ts';
import { faultOf } from '../test/support/corpus/outcome.ts';
import { createDecodeProcess, type DecodeProcess } from '../test/support/decode-process.ts';

const HANG_MS = 20_000;
/** Larger files of the corpus only say the same more slowly. */
const MAX_FILE_BYTES = 64 * 1024;
const MINIMISE_STEPS = 400;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: path.join(tmpdir(), 'gpu-handlers-fuzz') },
  },
});
const seconds = whole('seconds', values.seconds);
const seed = whole('seed', values.seed);

const files = (await corpus()).filter(({ bytes }) => bytes.length > 0 && bytes.length <= MAX_FILE_BYTES);
const roll = dice(seed);
const counts: Record<string, number> = {};
let runs = 0;
const finds = new Map<string, string>();
await using child = createDecodeProcess({ hangMs: HANG_MS });
const end = Date.now() + seconds * 1_000;
while (Date.now() < end) {
  const file = files[roll(files.length)];
  const other = files[roll(files.length)];
  if (file === undefined || other === undefined) break;
  const bytes = mutate(file.bytes, other.bytes, roll);
  const { fault, outcome } = await judge(child, bytes);
  runs += 1;
  counts[outcome] = (counts[outcome] ?? 0) + 1;
  if (fault === undefined || finds.has(fault)) continue;
  const least = await minimise(child, bytes, fault);
  const name = `${createHash('sha256').update(least).digest('hex').slice(0, 12)}.bin`;
  await mkdir(values.out, { recursive: true });
  await writeFile(path.join(values.out, name), least);
  finds.set(fault, name);
  console.log(`${fault}: ${path.join(values.out, name)} (run ${String(runs)}, from "${file.name}")`);
}
console.log(JSON.stringify({ seed, seconds, runs, finds: finds.size, outcomes: counts }));
process.exitCode = finds.size > 0 ? 1 : 0;

async function judge(
  decoder: DecodeProcess,
  bytes: Uint8Array,
): Promise<{ fault: string | undefined; outcome: string }> {
  const judged = faultOf(await decoder.decode([bytes]));
  if (judged.fault !== 'memory') return judged;
  // A process that has decoded thousands of files holds pieces of memory that are too small for a large one.
  await decoder.renew();
  return faultOf(await decoder.decode([bytes]));
}

/** A smaller file with the same fault: pieces are taken away, the larger ones first, for as long as it stays. */
async function minimise(decoder: DecodeProcess, bytes: Uint8Array, fault: string): Promise<Uint8Array> {
  let least = Buffer.from(bytes);
  let steps = 0;
  for (let piece = least.length >> 1; piece >= 1; piece >>= 1) {
    for (let at = 0; at < least.length && steps < MINIMISE_STEPS; steps += 1) {
      const smaller = Buffer.concat([least.subarray(0, at), least.subarray(at + piece)]);
      if ((await judge(decoder, smaller)).fault === fault) least = smaller;
      else at += piece;
    }
  }
  return least;
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new TypeError(`--${name} must be a whole number above 0`);
}
