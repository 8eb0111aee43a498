import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createBudget } from '../../src/flow/budget.ts';
import { sleep } from '../../src/flow/time.ts';

/** True where a promise has not been settled by everything that is ready to run. */
async function isWaiting(promise: Promise<unknown>): Promise<boolean> {
  const waiting = Symbol('waiting');
  const [first] = await Promise.all([Promise.race([promise, sleep(5).then(() => waiting)])]);
  return first === waiting;
}

describe('a budget', () => {
  test('is never exceeded, and everybody gets through', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(12), { minLength: 1, maxLength: 30 }), async (amounts) => {
        const budget = createBudget(10);
        let [held, most] = [0, 0];
        await Promise.all(
          amounts.map(async (amount) => {
            const giveBack = await budget.take(amount);
            held += Math.min(10, amount);
            most = Math.max(most, held);
            await Promise.resolve();
            held -= Math.min(10, amount);
            giveBack();
          }),
        );
        expect(most).toBeLessThanOrEqual(10);
        expect(most).toBeGreaterThanOrEqual(Math.min(10, Math.max(...amounts)));
        expect(held).toBe(0);
      }),
      { seed: 1 },
    );
  });

  test('what is larger than all of it goes alone', async () => {
    const budget = createBudget(10);
    const small = await budget.take(1);
    const large = budget.take(1_000);
    expect(await isWaiting(large)).toBe(true);
    small();
    const giveBack = await large;
    const next = budget.take(1);
    expect(await isWaiting(next)).toBe(true);
    giveBack();
    (await next)();
  });

  test('a large one that waits is not overtaken by small ones', async () => {
    const budget = createBudget(10);
    const order: string[] = [];
    const first = await budget.take(6);
    const large = budget.take(8).then((giveBack) => {
      order.push('large');
      giveBack();
    });
    const small = budget.take(1).then((giveBack) => {
      order.push('small');
      giveBack();
    });
    first();
    await Promise.all([large, small]);
    expect(order).toEqual(['large', 'small']);
  });

  test('one that is aborted leaves the queue, and nothing is lost by it', async () => {
    const budget = createBudget(10);
    const first = await budget.take(10);
    const stop = new AbortController();
    const reason = new Error('enough');
    const aborted = budget.take(10, stop.signal);
    const next = budget.take(4);
    stop.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await expect(budget.take(1, stop.signal)).rejects.toBe(reason);
    first();
    (await next)();
    (await budget.take(10))();
  });
});
