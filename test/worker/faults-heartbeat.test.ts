import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from '../../src/worker/simulator/simulator.ts';
import { resultOf, startWorker, type WorkerProcess } from './support.ts';

const INTERVAL_MS = 200;

let simulator: Simulator;
let worker: WorkerProcess;
beforeEach(async () => {
  simulator = await startSimulator({ longPollMs: 20_000, pingIntervalMs: INTERVAL_MS });
});
afterEach(async () => {
  await worker[Symbol.asyncDispose]();
  await simulator.close();
  expect(simulator.violations).toEqual([]);
});

const pings = () => simulator.requests.filter(({ route }) => route === 'ping');

test('goes on while the main thread is blocked, and names the job', async () => {
  worker = await startWorker(simulator, {
    handler: `() => { const until = Date.now() + 4000; while (Date.now() < until); return 'done'; }`,
  });
  await simulator.waitFor(() => pings().length > 0);
  const id = simulator.submit({});
  expect(await resultOf(simulator, id)).toMatchObject({ output: 'done' });
  expect(pings().filter(({ query }) => query.job_id === id).length).toBeGreaterThan(5);
});

test('names all jobs that run, and none when idle', async () => {
  worker = await startWorker(simulator, {
    handler: `async ({ input }) => sleep(input.ms)`,
    options: '{ concurrency: 2 }',
  });
  const first = await simulator.waitFor(() => pings()[0]);
  expect(first.query).toMatchObject({ runpod_version: expect.any(String) });
  expect(first.query.job_id).toBeUndefined();
  const ids = [simulator.submit({ ms: 1500 }), simulator.submit({ ms: 1500 })];
  await simulator.waitFor(() => pings().some(({ query }) => ids.every((id) => query.job_id?.includes(id))));
});

test('ends with the process', async () => {
  worker = await startWorker(simulator, { handler: `() => new Promise(() => setInterval(() => 1, 1000))` });
  simulator.submit({});
  await simulator.waitFor(() => pings().some(({ query }) => query.job_id !== undefined));
  worker.kill('SIGKILL');
  expect(await worker.ended).toBeNull();
  await sleep(INTERVAL_MS);
  const before = pings().length;
  await sleep(5 * INTERVAL_MS);
  expect(pings()).toHaveLength(before);
});

test('gets over a service that does not answer', async () => {
  simulator.script({ route: 'ping', outcome: 'silence', times: 2 });
  simulator.script({ route: 'ping', outcome: 'cut', times: 2 });
  worker = await startWorker(simulator, { handler: 'async () => 1' });
  await simulator.waitFor(() => pings().some(({ status }) => status === 200));
  expect(await resultOf(simulator, simulator.submit({}))).toMatchObject({ output: 1 });
});
