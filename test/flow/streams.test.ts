import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { StoppedError } from '../../src/base/errors.ts';
import { batches, mapConcurrent, merge, prefetch } from '../../src/flow/streams.ts';
import { sleep } from '../../src/flow/time.ts';

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of source) out.push(item);
  return out;
}

/** Counts up for ever, and says what was read and whether its reader said goodbye. */
function endless(): { source: AsyncGenerator<number>; state: { read: number; left: boolean } } {
  const state = { read: 0, left: false };
  async function* count(): AsyncGenerator<number> {
    try {
      for (;;) {
        await Promise.resolve();
        yield state.read++;
      }
    } finally {
      state.left = true;
    }
  }
  return { source: count(), state };
}

describe('mapConcurrent', () => {
  test('gives every result once, and in order where asked', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer()),
        fc.integer({ min: 1, max: 8 }),
        fc.boolean(),
        async (items, width, ordered) => {
          const fn = async (n: number): Promise<number> => {
            for (let i = Math.abs(n) % 5; i > 0; i--) await Promise.resolve();
            return n;
          };
          const out = await collect(mapConcurrent(items, width, fn, { ordered }));
          const sorted = (list: number[]): number[] => list.toSorted((a, b) => a - b);
          expect(ordered ? out : sorted(out)).toEqual(ordered ? items : sorted(items));
        },
      ),
    );
  });

  test('runs at most so many at once, and reads no further than its consumer lets it', async () => {
    const { source, state } = endless();
    let running = 0;
    let most = 0;
    const mapped = mapConcurrent(source, 3, async (n) => {
      most = Math.max(most, ++running);
      await sleep(1);
      running--;
      return n;
    });
    for (let i = 0; i < 10; i++) await mapped.next();
    await sleep(20);
    expect(most).toBe(3);
    expect(state.read).toBeLessThanOrEqual(10 + 3 + 2);
    await mapped.return(undefined);
    expect(state.left).toBe(true);
    expect(running).toBe(0);
  });

  test('ends with the first error, with nothing left running and the source told', async () => {
    const { source, state } = endless();
    let running = 0;
    const mapped = mapConcurrent(source, 4, async (n) => {
      running++;
      await sleep(1);
      running--;
      if (n === 7) throw new Error('seven');
      return n;
    });
    await expect(collect(mapped)).rejects.toThrow('seven');
    expect(running).toBe(0);
    expect(state.left).toBe(true);
  });

  test('an abort ends it though the source never answers', async () => {
    const controller = new AbortController();
    async function* silent(): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => undefined);
    }
    const mapped = mapConcurrent(silent(), 2, (n) => Promise.resolve(n), { signal: controller.signal });
    expect((await mapped.next()).value).toBe(1);
    const rest = collect(mapped);
    controller.abort(new StoppedError('cancelled', 'stop'));
    await expect(rest).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('prefetch', () => {
  test('reads ahead, but only so far', async () => {
    const { source, state } = endless();
    const ahead = prefetch(source, 5);
    await ahead.next();
    await sleep(5);
    expect(state.read).toBeGreaterThanOrEqual(5);
    expect(state.read).toBeLessThanOrEqual(8);
    await ahead.return(undefined);
    expect(state.left).toBe(true);
  });

  test('passes the source on, and its error', async () => {
    async function* failing(): AsyncGenerator<number> {
      yield 1;
      await Promise.resolve();
      throw new Error('broken source');
    }
    await expect(collect(prefetch(failing(), 3))).rejects.toThrow('broken source');
    expect(await collect(prefetch([1, 2, 3], 2))).toEqual([1, 2, 3]);
  });
});

test('batches are full but for the last, and never empty', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer()), fc.integer({ min: 1, max: 7 }), async (items, size) => {
      const out = await collect(batches(items, size));
      expect(out.flat()).toEqual(items);
      expect(out.slice(0, -1).every((b) => b.length === size)).toBe(true);
      expect(out.every((b) => b.length > 0 && b.length <= size)).toBe(true);
    }),
  );
});

describe('merge', () => {
  test('gives what any of the sources gives, each in its order, and ends when all have ended', async () => {
    async function* slow(items: readonly number[]): AsyncGenerator<number> {
      for (const item of items) {
        await sleep(1);
        yield item;
      }
    }
    const out = await collect(merge<number>([slow([1, 2, 3]), [10, 20, 30, 40], []]));
    expect(out.filter((n) => n < 10)).toEqual([1, 2, 3]);
    expect(out.filter((n) => n >= 10)).toEqual([10, 20, 30, 40]);
    // The slow one holds nobody up.
    expect(out[0]).toBe(10);
  });

  test('reads no further than its consumer lets it, and leaves every source', async () => {
    const [one, two] = [endless(), endless()];
    const merged = merge([one.source, two.source], { ahead: 4 });
    for (let i = 0; i < 10; i++) await merged.next();
    await sleep(5);
    expect(one.state.read + two.state.read).toBeLessThanOrEqual(10 + 4 + 2);
    await merged.return(undefined);
    expect([one.state.left, two.state.left]).toEqual([true, true]);
  });

  test('ends with the first error, and with a signal, whatever the other sources do', async () => {
    async function* failing(): AsyncGenerator<number> {
      await Promise.resolve();
      throw new Error('broken source');
      yield 0;
    }
    await expect(collect(merge([endless().source, failing()]))).rejects.toThrow('broken source');
    const stop = new AbortController();
    const reason = new StoppedError('cancelled', 'by hand');
    async function* silent(): AsyncGenerator<number> {
      await new Promise<never>(() => undefined);
      yield 0;
    }
    const merged = collect(merge([silent(), silent()], { signal: stop.signal }));
    stop.abort(reason);
    await expect(merged).rejects.toBe(reason);
  });
});
