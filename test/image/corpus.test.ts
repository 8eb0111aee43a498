import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { corpus } from '../support/corpus.ts';
import type { CorpusFile } from '../support/corpus/expected.ts';
import { MEMORY_BOUND, outcomeOf, quartersOf } from '../support/corpus/outcome.ts';
import { plain } from '../support/corpus/pictures.ts';
import { createDecodeProcess, type DecodeProcess } from '../support/decode-process.ts';

const HANG_MS = 90_000;
/** Lossy formats, and colours in half resolution. */
const NEAR = 4;

let files: CorpusFile[] = [];
let child: DecodeProcess;
beforeAll(async () => {
  child = createDecodeProcess({ hangMs: HANG_MS });
  files = await corpus();
}, 120_000);
afterAll(async () => {
  await child[Symbol.asyncDispose]();
});

describe('files as nobody wishes them: a code or the right picture, within the bound on memory', () => {
  test.each(['jpeg', 'png', 'gif', 'webp', 'tiff', 'avif', 'other'])('%s', async (type) => {
    const mine = files.filter(({ name }) => name.startsWith(`${type}: `));
    expect(mine.length).toBeGreaterThan(15);
    const wrong: unknown[] = [];
    for (const { name, bytes, expected } of mine) {
      const answer = await child.decode([bytes]);
      if (typeof answer === 'string') {
        wrong.push({ name, answer });
        continue;
      }
      const outcome = answer.outcomes[0];
      const isRight =
        typeof expected === 'string'
          ? expected.split('|').includes(outcomeOf(outcome))
          : quartersOf(outcome).every((colour, q) =>
              colour.every((value, c) => Math.abs(value - (expected.quarters[q]?.[c] ?? NaN)) <= NEAR),
            );
      if (!isRight) wrong.push({ name, expected, found: outcomeOf(outcome), quarters: quartersOf(outcome) });
      if (answer.peakBytes > MEMORY_BOUND) wrong.push({ name, peak: answer.peakBytes });
    }
    expect(wrong).toEqual([]);
  });
});

test('many large pictures at once share one bound; small ones among them get through', async () => {
  const large = await plain(9_900, 9_900).webp({ lossless: true, effort: 0 }).toBuffer();
  const small = await plain(64, 64).png().toBuffer();
  expect(large.length).toBeLessThan(100);
  const answer = await child.decode([large, small, large, small, large, large]);
  if (typeof answer === 'string') throw new Error(answer);
  expect(answer.outcomes.map(outcomeOf)).toEqual(Array.from({ length: 6 }, () => 'pixels'));
  // Each of them takes some 780 MiB.
  expect(answer.peakBytes).toBeLessThan(MEMORY_BOUND);
});
