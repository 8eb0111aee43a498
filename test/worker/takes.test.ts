import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { createBackoff } from '../../src/worker/backoff.ts';
import { createConcurrency } from '../../src/worker/concurrency.ts';
import { createJobPool } from '../../src/worker/job-pool.ts';
import { connectRunPod } from '../../src/worker/runpod-platform.ts';
import { startSimulator, type Simulator } from '../../src/worker/simulator/simulator.ts';
import { takeJobs } from '../../src/worker/take-loop.ts';

let simulator: Simulator;
beforeEach(async () => {
  simulator = await startSimulator({ longPollMs: 20_000 });
});
afterEach(async () => {
  await simulator.close();
});

/** Takes jobs until one arrives; the pauses that it would have made on the way. */
async function pausesUntilJob(): Promise<number[]> {
  const pauses: number[] = [];
  const stop = new AbortController();
  const { promise: arrived, resolve } = Promise.withResolvers<undefined>();
  const env = simulator.env('w1');
  const settings = {
    RUNPOD_WEBHOOK_GET_JOB: env.RUNPOD_WEBHOOK_GET_JOB,
    RUNPOD_WEBHOOK_POST_OUTPUT: env.RUNPOD_WEBHOOK_POST_OUTPUT,
    RUNPOD_AI_API_KEY: env.RUNPOD_AI_API_KEY,
  };
  const platform = connectRunPod(settings, 'w1', SILENT_LOG);
  const run = (): Promise<void> => Promise.resolve(resolve(undefined));
  const pool = createJobPool({ limit: createConcurrency(1), platform, log: SILENT_LOG, run });
  const wait = (ms: number): Promise<void> => {
    pauses.push(ms);
    return Promise.resolve();
  };
  const backoff = createBackoff({ wait, random: () => 0 });
  const taking = takeJobs({ platform, pool, log: SILENT_LOG, signal: stop.signal, backoff });
  simulator.submit({});
  await arrived;
  stop.abort(new Error('the test is over'));
  await taking;
  await platform.close();
  return pauses;
}

test.each([
  ['fail', { status: 500 }, [500, 1000, 2000, 4000]],
  ['are cut off', 'cut', [500, 1000, 2000, 4000]],
  ['hold no JSON', { status: 200, body: 'busy' }, [500, 1000, 2000, 4000]],
  ['are refused', { status: 403 }, [500, 1000, 2000, 4000]],
  ['are answered by 400', { status: 400 }, [500, 1000, 1000, 1000]],
  ['are empty at once', { status: 204 }, [500, 1000, 1000, 1000]],
] as const)(
  'takes that %s pause before each repeat, and the job is taken afterwards',
  async (_, outcome, pauses) => {
    simulator.script({ route: 'take', outcome, times: 4 });
    expect(await pausesUntilJob()).toEqual(pauses);
  },
);

test.each([
  ['429 alone', {}, 5_000],
  ['429 with a longer wish', { headers: { 'retry-after': '30' } }, 30_000],
  ['429 that asks for years', { headers: { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' } }, 60_000],
  ['429 that asks for ever', { headers: { 'retry-after': '9'.repeat(400) } }, 60_000],
  ['503 with a wish', { status: 503, headers: { 'retry-after': '7' } }, 7_000],
])('%s is waited for as asked, within a minute', async (_, outcome, ms) => {
  simulator.script({ route: 'take', outcome: { status: 429, ...outcome }, times: 1 });
  expect(await pausesUntilJob()).toEqual([ms]);
});

test('an address of another form is asked for jobs alone: none is lost to whoever asks what to stop', async () => {
  const { RUNPOD_WEBHOOK_GET_JOB = '', RUNPOD_WEBHOOK_POST_OUTPUT = '' } = simulator.env('w1');
  const settings = {
    // The simulator's own route for several at once stands for a service that names its routes otherwise.
    RUNPOD_WEBHOOK_GET_JOB: RUNPOD_WEBHOOK_GET_JOB.replace('/job-take/', '/job-take-batch/'),
    RUNPOD_WEBHOOK_POST_OUTPUT,
    RUNPOD_AI_API_KEY: 'simulated-api-key',
  };
  const platform = connectRunPod(settings, 'w1', SILENT_LOG);
  const stop = new AbortController();
  const hearing = platform.stops(stop.signal);
  const ended = expect(hearing).rejects.toThrow('over');
  simulator.submit({}, { id: 'a' });
  expect(await platform.take(1, false, stop.signal)).toMatchObject([{ id: 'a' }]);
  stop.abort(new Error('over'));
  await ended;
  expect(simulator.requests.filter(({ route }) => route !== 'done')).toHaveLength(1);
  await platform.close();
});
