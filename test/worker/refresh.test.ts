import { expect, test } from '@jest/globals';

import { createRefresh } from '../../src/worker/refresh.ts';

/** A worker that holds jobs: some still work, some have an outcome that is not delivered yet. */
function held(working: number, patienceMs?: number) {
  const state = { working, answering: 0 };
  const watchers = new Set<() => void>();
  const ending = new AbortController();
  let closed = false;
  const ask = createRefresh(true, {
    close: () => (closed = true),
    taken: () => Promise.resolve(),
    working: () => state.working,
    answering: () => state.answering,
    changed: (signal) =>
      new Promise((resolve) => {
        watchers.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      }),
    ending: ending.signal,
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  return {
    ending,
    isClosed: () => closed,
    /** One of those that work has its outcome, and asks. */
    settle: (): Promise<boolean> => {
      state.working -= 1;
      state.answering += 1;
      return ask(false);
    },
    deliver(): void {
      state.answering -= 1;
      for (const wake of watchers) wake();
    },
  };
}

test('of two results that are ready at once exactly one says it, after the other has arrived', async () => {
  const worker = held(2);
  const [first, second] = [worker.settle(), worker.settle()];
  expect(await Promise.race([first.then(() => 1), second.then(() => 2)])).toBe(2);
  worker.deliver();
  expect(await Promise.all([first, second])).toEqual([true, false]);
  expect(worker.isClosed()).toBe(true);
});

test('a result that is ready while others work leaves it to them, on its way or not', async () => {
  const worker = held(2);
  expect(await worker.settle()).toBe(false);
  const last = worker.settle();
  worker.deliver();
  expect(await last).toBe(true);
});

test('a result waits no longer than it may for one that does not get through', async () => {
  const worker = held(2, 20);
  const first = worker.settle();
  const second = worker.settle();
  expect(await Promise.all([first, second])).toEqual([false, false]);
});

test('no result waits for another when the worker ends', async () => {
  const worker = held(2, 3_600_000);
  const results = [worker.settle(), worker.settle()];
  worker.ending.abort(new Error('the worker ends'));
  expect(await Promise.all(results)).toEqual([false, false]);
});
