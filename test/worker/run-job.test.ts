import { expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { createJobControl } from '../../src/worker/job-control.ts';
import type { Platform, TakenJob } from '../../src/worker/platform.ts';
import { runJob } from '../../src/worker/run-job.ts';
import type { AnyHandler } from '../../src/worker/types.ts';

const HOUR_MS = 3_600_000;

/** A platform that notes the bodies posted to it, in order; none of what was given up before. */
function noting(): { platform: Platform; posted: string[] } {
  const posted: string[] = [];
  const note = ({ body, signal }: { body: string; signal: AbortSignal }): Promise<void> => {
    signal.throwIfAborted();
    return Promise.resolve(void posted.push(body));
  };
  const platform: Platform = {
    replacesWorkers: false,
    ready: () => Promise.resolve(),
    take: () => Promise.resolve([]),
    stops: () => Promise.resolve([]),
    done: note,
    progress: note,
    stream: note,
    unhealthy: () => Promise.resolve(),
    held: () => undefined,
    released: () => undefined,
    close: () => Promise.resolve(),
  };
  return { platform, posted };
}

const parts = (platform: Platform, handler: AnyHandler) => ({
  handler,
  platform,
  identity: { workerId: 'w1', hostname: 'h' },
  log: SILENT_LOG,
  timeoutMs: undefined,
  windUpMs: 10,
  aggregateStream: false,
  stopPod: () => Promise.resolve(false),
});

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve()));

test('a job’s time runs from when it was taken, not from when its place was free', async () => {
  const { platform, posted } = noting();
  const control = Object.defineProperty(createJobControl(), 'since', { value: performance.now() - HOUR_MS });
  const job: TakenJob = { id: 'a', input: {}, policy: { executionTimeout: HOUR_MS } };
  await runJob(
    job,
    control,
    parts(platform, async (_, { signal }) => {
      await untilAborted(signal);
      throw signal.reason as Error;
    }),
  );
  expect(posted).toEqual([expect.stringContaining('timed_out')]);
});

test('a generator that goes on after its time posts no piece behind the final result', async () => {
  const { platform, posted } = noting();
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const { promise: left, resolve: leave } = Promise.withResolvers<undefined>();
  const job: TakenJob = { id: 'a', input: {}, policy: { executionTimeout: 1 } };
  await runJob(
    job,
    createJobControl(),
    parts(platform, async function* () {
      try {
        await over;
        yield 'late';
      } finally {
        leave(undefined);
      }
    }),
  );
  const before = [...posted];
  expect(before.at(-1)).toContain('timed_out');
  resolve(undefined);
  await left;
  expect(posted).toEqual(before);
});
