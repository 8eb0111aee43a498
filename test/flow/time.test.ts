import { expect, test } from '@jest/globals';

import { every, sleep } from '../../src/flow/time.ts';

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
