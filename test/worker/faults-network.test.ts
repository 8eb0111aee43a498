import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from '../../src/worker/simulator/simulator.ts';
import { errorOf, resultOf, startWorker, type WorkerProcess } from './support.ts';

let simulator: Simulator;
let worker: WorkerProcess;
beforeEach(async () => {
  simulator = await startSimulator({ longPollMs: 2_000, maxResultBytes: 100_000 });
});
afterEach(async () => {
  await worker[Symbol.asyncDispose]();
  await simulator.close();
});

const ECHO = `async ({ input }) => input.bytes ? 'x'.repeat(input.bytes) : { got: input }`;
const requestsOf = (route: string) => simulator.requests.filter((request) => request.route === route);

describe('a result that is ready', () => {
  test.each([
    ['the network is away', 'cut', 4],
    ['the service fails', { status: 503 }, 3],
    ['the service is asked too often', { status: 429 }, 1],
  ] as const)('is delivered in the end, once, when %s', async (_, outcome, times) => {
    simulator.script({ route: 'done', outcome, times });
    worker = await startWorker(simulator, { handler: ECHO });
    const ids = [simulator.submit({ n: 1 }), simulator.submit({ n: 2 })];
    for (const [i, id] of ids.entries())
      expect(await resultOf(simulator, id)).toMatchObject({ output: { got: { n: i + 1 } } });
    expect(requestsOf('done')).toHaveLength(2 + times);
    // Each request carries its own job's id, tried again or not: the simulator looks.
    expect(simulator.violations).toEqual([]);
    for (const request of requestsOf('done')) expect(request.headers['x-request-id']).toBe(request.jobId);
  });

  test('and too large for the service: a small error takes its place', async () => {
    worker = await startWorker(simulator, { handler: ECHO });
    const id = simulator.submit({ bytes: 200_000 });
    expect((await errorOf(simulator, id)).error_message).toMatch(/refused the result of 200013 bytes.*413/);
    expect(simulator.results.get(id)).toHaveLength(1);
  });

  test('and refused for another reason: the reason takes its place', async () => {
    simulator.script({ route: 'done', outcome: { status: 422 }, times: 1 });
    worker = await startWorker(simulator, { handler: ECHO });
    expect((await errorOf(simulator, simulator.submit({}))).error_message).toContain('422');
  });

  test('and its job goes on being named by the heartbeat until it is delivered', async () => {
    simulator.script({ route: 'done', outcome: 'cut', times: 4 });
    worker = await startWorker(simulator, { handler: ECHO, env: { RUNPOD_PING_INTERVAL: '50' } });
    const id = simulator.submit({});
    await simulator.waitFor(() => requestsOf('done').length >= 2);
    const since = simulator.requests.length;
    await simulator.waitFor(() =>
      simulator.requests.slice(since).some(({ route, query }) => route === 'ping' && query.job_id === id),
    );
    await resultOf(simulator, id);
    const after = simulator.requests.length;
    await simulator.waitFor(() =>
      simulator.requests
        .slice(after)
        .some(({ route, query }) => route === 'ping' && query.job_id === undefined),
    );
  });
});

describe('takes', () => {
  test('that fail are repeated, and jobs are taken afterwards', async () => {
    simulator.script({ route: 'take', outcome: { status: 500 }, times: 1 });
    worker = await startWorker(simulator, { handler: ECHO });
    expect(await resultOf(simulator, simulator.submit({ n: 1 }))).toMatchObject({
      output: { got: { n: 1 } },
    });
  });

  test('that hold something else beside a job lose no job', async () => {
    const handler = 'async ({ input }) => input';
    simulator.script({
      route: 'take-batch',
      times: 1,
      outcome: { status: 200, body: [7, { input: {} }, { id: 'good', input: { a: 1 } }] },
    });
    worker = await startWorker(simulator, { handler, options: '{ concurrency: 3 }' });
    expect(await resultOf(simulator, 'good')).toMatchObject({ output: { a: 1 } });
  });
});
