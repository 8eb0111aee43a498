import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';

import { StoppedError, type StopCode } from '../../src/base/errors.ts';
import { stopTimes } from '../../src/job/stop-times.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** When, after the stop, the fetched images and the writes under way are given up, and what is left for the row. */
function timesOf(code: StopCode, graceMs?: number) {
  const stop = new AbortController();
  const reason = new StoppedError(code, 'told to', { graceMs });
  const { end, late, leaveMs } = stopTimes(stop.signal);
  const begun = performance.now();
  const at: Record<string, number> = {};
  for (const [name, { signal }] of Object.entries({ end, late })) {
    signal.addEventListener('abort', () => {
      expect(signal.reason).toBe(reason);
      at[name] = performance.now() - begun;
    });
  }
  stop.abort(reason);
  jest.runAllTimers();
  return { ...at, leave: leaveMs(reason) };
}

test.each([
  [60_000, { end: 39_000, late: 45_000, leave: 12_000 }],
  [1_000, { end: 650, late: 750, leave: 200 }],
  [0, { end: 0, late: 0, leave: 0 }],
  // A container's ten seconds, of which a worker keeps two.
  [undefined, { end: 5_200, late: 6_000, leave: 1_600 }],
])('a shutdown with %p ms: everything ends within them', (graceMs, expected) => {
  expect(timesOf('shutdown', graceMs)).toEqual(expected);
});

test.each<StopCode>(['cancelled', 'timed_out', 'superseded'])(
  '%s ends at once, whatever the grace; the writes under way have three seconds',
  (code) => {
    expect(timesOf(code, 60_000)).toMatchObject({ end: 0, late: 3_000 });
  },
);

test('what is released follows no more', () => {
  const stop = new AbortController();
  const { end, late } = stopTimes(stop.signal);
  end.release();
  late.release();
  stop.abort(new StoppedError('cancelled', 'too late'));
  jest.runAllTimers();
  expect([end.signal.aborted, late.signal.aborted]).toEqual([false, false]);
});
