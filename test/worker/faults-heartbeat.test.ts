import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from '../../src/worker/simulator/simulator.ts';
import { resultOf, startWorker, type WorkerProcess } from './support.ts';

const INTERVAL_MS = 200;

/** So long a handler keeps the main thread, while the other tests run. */
const BLOCKED_MS = 30_000;
const PARTS = 6;

const longest = await startSimulator({ longPollMs: 20_000, pingIntervalMs: INTERVAL_MS });
const busy = await startWorker(longest, {
  handler: `() => { const begun = Date.now(); while (Date.now() < begun + ${BLOCKED_MS}); return begun; }`,
});
const blocked = longest.submit({});
afterAll(async () => {
  await busy[Symbol.asyncDispose]();
  await longest.close();
});

describe('a heartbeat', () => {
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

  test('ends with the process, within one interval', async () => {
    worker = await startWorker(simulator, { handler: `() => new Promise(() => setInterval(() => 1, 1000))` });
    simulator.submit({});
    await simulator.waitFor(() => pings().some(({ query }) => query.job_id !== undefined));
    worker.kill('SIGKILL');
    expect(await worker.ended).toBeNull();
    const died = performance.timeOrigin + performance.now();
    await sleep(5 * INTERVAL_MS);
    expect(pings().filter(({ time }) => time > died + INTERVAL_MS)).toEqual([]);
  });

  test('gets over a service that does not answer', async () => {
    simulator.script({ route: 'ping', outcome: 'silence', times: 2 });
    simulator.script({ route: 'ping', outcome: 'cut', times: 2 });
    worker = await startWorker(simulator, { handler: 'async () => 1' });
    await simulator.waitFor(() => pings().some(({ status }) => status === 200));
    expect(await resultOf(simulator, simulator.submit({}))).toMatchObject({ output: 1 });
  });
});

test('a heartbeat goes on while the main thread is blocked for 30 seconds, and names the job', async () => {
  const waiting = { timeoutMs: 120_000, what: 'the result of the handler that blocks' };
  const { output } = await longest.waitFor(() => longest.results.get(blocked)?.[0], waiting);
  const begun = Number(output);
  const parts = longest.requests
    .filter(({ route, query }) => route === 'ping' && query.job_id === blocked)
    .map(({ time }) => Math.floor(((time - begun) * PARTS) / BLOCKED_MS));
  for (let part = 0; part < PARTS; part++) expect(parts).toContain(part);
  expect(longest.violations).toEqual([]);
}, 150_000);
