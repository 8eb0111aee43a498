import { getEventListeners } from 'node:events';

import { expect, test } from '@jest/globals';

import { sleep } from '../../src/flow/time.ts';
import { timeLimit } from '../../src/flow/time-limit.ts';

test('aborts with the other signal’s reason, or with its own when the time is up', async () => {
  const stop = new AbortController();
  using stopped = timeLimit(60_000, stop.signal, () => new Error('late'));
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
  const reason = new Error('enough');
  stop.abort(reason);
  expect(stopped.signal.reason).toBe(reason);
  expect(stopped.expired()).toBe(false);
  using late = timeLimit(1, new AbortController().signal, () => new Error('late'));
  while (!late.signal.aborted) await sleep(1);
  expect(late.signal.reason).toMatchObject({ message: 'late' });
  expect(late.expired()).toBe(true);
  using already = timeLimit(60_000, stop.signal);
  expect(already.signal.reason).toBe(reason);
});

test('leaves nothing on a signal that lives longer', () => {
  const { signal } = new AbortController();
  for (let i = 0; i < 100; i++) {
    using limit = timeLimit(60_000, signal);
    expect(limit.signal.aborted).toBe(false);
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});
