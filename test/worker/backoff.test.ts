import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createBackoff } from '../../src/worker/backoff.ts';

const { signal } = new AbortController();

/** A backoff whose pauses are noted and take no time. */
function noted(random: () => number) {
  const pauses: number[] = [];
  const wait = (ms: number): Promise<void> => {
    pauses.push(ms);
    return Promise.resolve();
  };
  return { pauses, backoff: createBackoff({ wait, random }) };
}

describe('pauses', () => {
  test.each<[number, number[]]>([
    [0, [500, 1000, 2000, 4000, 5000, 5000]],
    [1, [1000, 2000, 4000, 8000, 10_000, 10_000]],
  ])('after failures grow to a limit, half of them fixed (random %d)', async (chance, expected) => {
    const { pauses, backoff } = noted(() => chance);
    for (let i = 0; i < 6; i++) await backoff.failed(0, signal);
    expect(pauses).toEqual(expected);
  });

  test('after empty answers that come at once stay below two seconds', async () => {
    const { pauses, backoff } = noted(() => 1);
    for (let i = 0; i < 4; i++) await backoff.empty(10, signal);
    expect(pauses).toEqual([1000, 2000, 2000, 2000]);
  });

  test('after a long poll there is none, and what comes then begins anew', async () => {
    const { pauses, backoff } = noted(() => 0);
    for (let i = 0; i < 5; i++) await backoff.failed(0, signal);
    await backoff.empty(20_000, signal);
    expect(pauses).toHaveLength(5);
    await backoff.failed(0, signal);
    expect(pauses.at(-1)).toBe(500);
    backoff.reset();
    await backoff.failed(0, signal);
    expect(pauses.at(-1)).toBe(500);
  });

  test('are never shorter than the other side asked for', async () => {
    const { pauses, backoff } = noted(() => 0);
    await backoff.failed(5_000, signal);
    expect(pauses).toEqual([5_000]);
  });

  test('keep every mixture of failures and empty answers below two requests a second', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }))),
        async (runs) => {
          let chance = 0;
          const { pauses, backoff } = noted(() => chance);
          for (const [failed, random] of runs) {
            chance = random;
            await (failed ? backoff.failed(0, signal) : backoff.empty(0, signal));
          }
          const waited = pauses.reduce((sum, ms) => sum + ms, 0);
          expect(waited).toBeGreaterThanOrEqual(runs.length * 500);
        },
      ),
    );
  });

  test('end when told to stop', async () => {
    const stop = new AbortController();
    const pause = createBackoff().failed(3_600_000, stop.signal);
    stop.abort(new Error('over'));
    await pause;
  });
});
