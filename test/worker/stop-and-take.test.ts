import { expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { SILENT_LOG } from '../../src/base/log.ts';
import type { Platform, TakenJob } from '../../src/worker/platform.ts';
import { runWorker } from '../../src/worker/worker.ts';

type Take = (untilAnswer: AbortSignal) => Promise<TakenJob[]>;

/** What the worker posts where its one poll is answered in this way; the poll after that hangs until it is ended. */
async function postsOf(take: Take, stop: AbortController): Promise<{ code: number; bodies: string[] }> {
  const bodies: string[] = [];
  let polls = 0;
  const platform: Platform = {
    replacesWorkers: false,
    ready: () => Promise.resolve(),
    take: (_count, _busy, untilAnswer) => (polls++ === 0 ? take(untilAnswer) : ended(untilAnswer)),
    stops: (signal) => ended(signal),
    done: ({ body }) => Promise.resolve(void bodies.push(body)),
    progress: () => Promise.resolve(),
    stream: () => Promise.resolve(),
    unhealthy: () => Promise.resolve(),
    held: () => undefined,
    released: () => undefined,
    close: () => Promise.resolve(),
  };
  const code = await runWorker(
    ({ input }) => ({ got: input }),
    {},
    {
      platform,
      identity: { workerId: 'w1', hostname: undefined },
      jobTimeoutMs: undefined,
      log: SILENT_LOG,
      stop: stop.signal,
    },
  );
  return { code, bodies };
}

function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
    if (signal.aborted) reject(signal.reason as Error);
  });
}

const JOB: TakenJob = { id: 'a', input: 1 };
const shutdown = () => new StoppedError('shutdown', 'stopped by SIGTERM');

test('a job that had arrived and was not read yet when the worker was told to stop is run', async () => {
  const stop = new AbortController();
  const take: Take = (untilAnswer) => {
    const answer = new Promise<TakenJob[]>((resolve) => {
      setImmediate(() => {
        stop.abort(shutdown());
        // The event loop reads what lies in the socket in its next turn.
        setImmediate(() => resolve([JOB]));
      });
    });
    return Promise.race([answer, ended(untilAnswer)]);
  };
  expect(await postsOf(take, stop)).toEqual({ code: 0, bodies: ['{"output":{"got":1}}'] });
});

test('a job whose answer had begun is run, however late its end comes', async () => {
  const stop = new AbortController();
  const take: Take = (untilAnswer) =>
    new Promise((resolve) => {
      untilAnswer.addEventListener('abort', () => setImmediate(() => resolve([JOB])));
      setImmediate(() => stop.abort(shutdown()));
    });
  expect(await postsOf(take, stop)).toEqual({ code: 0, bodies: ['{"output":{"got":1}}'] });
});

test('a poll that nothing has answered is ended, and the worker with it', async () => {
  const stop = new AbortController();
  const take: Take = (untilAnswer) => {
    setImmediate(() => stop.abort(shutdown()));
    return ended(untilAnswer);
  };
  expect(await postsOf(take, stop)).toEqual({ code: 0, bodies: [] });
});
