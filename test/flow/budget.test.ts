import { expect, test } from '@jest/globals';

import { createBudget } from '../../src/flow/budget.ts';
import { every, sleep } from '../../src/flow/time.ts';

test('holds back what does not fit, first come first served', async () => {
  const budget = createBudget(10);
  const first = await budget.acquire(6);
  const order: string[] = [];
  const second = budget.acquire(6).then((release) => (order.push('second'), release));
  const third = budget.acquire(1).then((release) => (order.push('third'), release));
  await sleep(2);
  expect(order).toEqual([]);
  expect(budget.used).toBe(6);
  first();
  first();
  (await second)();
  (await third)();
  expect(order).toEqual(['second', 'third']);
  expect(budget.used).toBe(0);
});

test('lets what is larger than the whole through alone', async () => {
  const budget = createBudget(10);
  const large = await budget.acquire(50);
  const next = budget.acquire(1);
  await sleep(2);
  expect(budget.used).toBe(50);
  large();
  (await next)();
  expect(budget.used).toBe(0);
});

test('an aborted wait takes nothing with it', async () => {
  const budget = createBudget(1);
  const release = await budget.acquire(1);
  const controller = new AbortController();
  const waiting = budget.acquire(1, controller.signal);
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  release();
  expect(budget.used).toBe(0);
  (await budget.acquire(1))();
});

test('a ticker never runs its task twice at once, and is quiet once stopped', async () => {
  let running = 0;
  let runs = 0;
  const errors: unknown[] = [];
  const ticker = every(
    1,
    async () => {
      expect(++running).toBe(1);
      await sleep(3);
      running--;
      if (++runs === 2) throw new Error('second');
    },
    (error) => errors.push(error),
  );
  while (runs < 4) await sleep(1);
  await ticker.stop();
  const after = runs;
  await sleep(10);
  expect(runs).toBe(after);
  expect(running).toBe(0);
  expect(errors).toHaveLength(1);
});
