import { afterEach, describe, expect, test } from '@jest/globals';

import type { AnyHandler } from '../../../src/worker/types.ts';
import { gate, startEndpoint, type TestEndpoint } from './support.ts';

let endpoint: TestEndpoint;
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
});

/** Ends when its gate opens, or as it is told to stop. */
function gated() {
  const gates = new Map<unknown, ReturnType<typeof gate>>();
  const started = new Map<unknown, ReturnType<typeof gate>>();
  const at = (of: typeof gates, name: unknown) => {
    const found = of.get(name) ?? gate();
    of.set(name, found);
    return found;
  };
  const reasons: string[] = [];
  const handler: AnyHandler = async ({ input }, { signal, progress }) => {
    progress({ began: input });
    at(started, input).open();
    const stopped = new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        reasons.push((signal.reason as { code: string }).code);
        reject(signal.reason as Error);
      });
    });
    await Promise.race([at(gates, input).opened, stopped]);
    return { ended: input };
  };
  return {
    handler,
    reasons,
    started: (name: unknown) => at(started, name).opened,
    end: (name: unknown) => at(gates, name).open(),
  };
}

test('a job waits, runs, tells its progress and ends; each state as the service words it', async () => {
  const jobs = gated();
  endpoint = await startEndpoint(jobs.handler);
  const first = await endpoint.run('first');
  await jobs.started('first');
  const second = await endpoint.run('second');
  expect(await endpoint.status(second)).toEqual({
    id: second,
    status: 'IN_QUEUE',
    delayTime: expect.any(Number),
  });
  expect(await endpoint.status(first)).toEqual({
    id: first,
    status: 'IN_PROGRESS',
    delayTime: expect.any(Number),
    executionTime: expect.any(Number),
    output: { began: 'first' },
    workerId: 'w1',
  });
  jobs.end('first');
  expect(await endpoint.settled(first)).toEqual({
    id: first,
    status: 'COMPLETED',
    delayTime: expect.any(Number),
    executionTime: expect.any(Number),
    output: { ended: 'first' },
    workerId: 'w1',
  });
  jobs.end('second');
  expect(await endpoint.settled(second)).toMatchObject({ status: 'COMPLETED' });
});

test.each([
  [1, 1],
  [3, 3],
])('so many run at once: %i', async (concurrency, expected) => {
  const jobs = gated();
  endpoint = await startEndpoint(jobs.handler, { options: { concurrency } });
  const ids = [];
  for (let i = 0; i < 5; i++) ids.push(await endpoint.run(i));
  await jobs.started(expected - 1);
  const { body } = await endpoint.call('GET', '/health');
  expect(body.jobs).toMatchObject({ inProgress: expected, inQueue: 5 - expected });
  for (let i = 0; i < 5; i++) jobs.end(i);
  for (const id of ids) expect(await endpoint.settled(id)).toMatchObject({ status: 'COMPLETED' });
});

describe('cancel', () => {
  test('of a job that waits: it never runs', async () => {
    const jobs = gated();
    endpoint = await startEndpoint(jobs.handler);
    const first = await endpoint.run('first');
    await jobs.started('first');
    const second = await endpoint.run('second');
    expect((await endpoint.call('POST', `/cancel/${second}`)).body).toMatchObject({ status: 'CANCELLED' });
    jobs.end('first');
    await endpoint.settled(first);
    const third = await endpoint.run('third');
    await jobs.started('third');
    jobs.end('third');
    await endpoint.settled(third);
    expect(await endpoint.status(second)).toMatchObject({ status: 'CANCELLED' });
    expect((await endpoint.call('GET', '/health')).body.jobs).toMatchObject({ completed: 2, failed: 0 });
  });

  test('of a job that runs: its signal aborts, and nothing it gives counts', async () => {
    const jobs = gated();
    endpoint = await startEndpoint(jobs.handler);
    const id = await endpoint.run('job');
    await jobs.started('job');
    const waiting = endpoint.settled(id);
    expect((await endpoint.call('POST', `/cancel/${id}`)).body).toMatchObject({ id, status: 'CANCELLED' });
    expect(await waiting).toMatchObject({ status: 'CANCELLED' });
    // Its place is free again.
    const next = await endpoint.run('next');
    await jobs.started('next');
    expect(jobs.reasons).toEqual(['cancelled']);
    expect(await endpoint.status(id)).not.toHaveProperty('error');
    jobs.end('next');
    await endpoint.settled(next);
  });

  test('of a job that has ended changes nothing', async () => {
    endpoint = await startEndpoint(() => 'output');
    const id = await endpoint.run({});
    await endpoint.settled(id);
    expect((await endpoint.call('POST', `/cancel/${id}`)).body).toMatchObject({ status: 'COMPLETED' });
    expect(await endpoint.status(id)).toMatchObject({ status: 'COMPLETED', output: 'output' });
  });
});

describe('time', () => {
  test('beyond executionTimeout: TIMED_OUT, and the handler knows why', async () => {
    const jobs = gated();
    endpoint = await startEndpoint(jobs.handler);
    const id = await endpoint.run('job', { policy: { executionTimeout: 50 } });
    expect(await endpoint.settled(id)).toMatchObject({
      status: 'TIMED_OUT',
      error: expect.stringContaining('50 ms'),
    });
    const next = await endpoint.run('next');
    await jobs.started('next');
    expect(jobs.reasons).toEqual(['timed_out']);
    expect(await endpoint.status(id)).toMatchObject({ status: 'TIMED_OUT' });
    jobs.end('next');
    await endpoint.settled(next);
  });

  test('of the endpoint, where the job says nothing', async () => {
    endpoint = await startEndpoint(gated().handler, { limits: { executionTimeoutMs: 50 } });
    expect(await endpoint.settled(await endpoint.run('job'))).toMatchObject({ status: 'TIMED_OUT' });
  });

  test('beyond its ttl, while it waits or runs', async () => {
    const jobs = gated();
    endpoint = await startEndpoint(jobs.handler);
    const runs = await endpoint.run('runs', { policy: { ttl: 300 } });
    await jobs.started('runs');
    const waits = await endpoint.run('waits', { policy: { ttl: 50 } });
    expect(await endpoint.settled(waits)).toMatchObject({
      status: 'TIMED_OUT',
      error: expect.stringContaining('ttl of 50 ms'),
    });
    expect(await endpoint.settled(runs)).toMatchObject({ status: 'TIMED_OUT' });
    expect(jobs.reasons).toEqual(['timed_out']);
  });
});

describe('retry', () => {
  test('of a job that failed: the same id and input, its error gone', async () => {
    const inputs: unknown[] = [];
    endpoint = await startEndpoint(({ input }) => {
      inputs.push(input);
      if (inputs.length === 1) throw new Error('once');
      return 'whole';
    });
    const id = await endpoint.run({ a: null });
    expect(await endpoint.settled(id)).toMatchObject({ status: 'FAILED' });
    expect((await endpoint.call('POST', `/retry/${id}`)).body).toEqual({ id, status: 'IN_QUEUE' });
    const settled = await endpoint.settled(id);
    expect(settled).toMatchObject({ id, status: 'COMPLETED', output: 'whole' });
    expect(settled).not.toHaveProperty('error');
    expect(inputs).toEqual([{ a: null }, { a: null }]);
    expect((await endpoint.call('GET', '/health')).body.jobs).toMatchObject({ retried: 1, completed: 1 });
  });

  test('of a job whose first run has not let go yet: it waits for that', async () => {
    const letGo = gate();
    let runs = 0;
    endpoint = await startEndpoint(
      async () => {
        runs += 1;
        if (runs === 1) await letGo.opened;
        return runs;
      },
      { options: { concurrency: 2 } },
    );
    const id = await endpoint.run({}, { policy: { executionTimeout: 50 } });
    expect(await endpoint.settled(id)).toMatchObject({ status: 'TIMED_OUT' });
    await endpoint.call('POST', `/retry/${id}`);
    expect(await endpoint.status(id)).toMatchObject({ status: 'IN_QUEUE' });
    letGo.open();
    // What the first run gave was too late.
    expect(await endpoint.settled(id)).toMatchObject({ status: 'COMPLETED', output: 2 });
  });

  test('of any other is refused', async () => {
    endpoint = await startEndpoint(() => 1);
    const id = await endpoint.run({});
    await endpoint.settled(id);
    expect(await endpoint.call('POST', `/retry/${id}`)).toEqual({
      status: 400,
      body: { id, status: 'COMPLETED', error: expect.stringContaining('FAILED or TIMED_OUT') },
    });
  });
});

test('purge-queue cancels what waits, and nothing that runs', async () => {
  const jobs = gated();
  endpoint = await startEndpoint(jobs.handler);
  const runs = await endpoint.run('runs');
  await jobs.started('runs');
  const waiting = [await endpoint.run('a'), await endpoint.run('b')];
  expect((await endpoint.call('POST', '/purge-queue')).body).toEqual({ removed: 2, status: 'completed' });
  for (const id of waiting) expect(await endpoint.status(id)).toMatchObject({ status: 'CANCELLED' });
  jobs.end('runs');
  expect(await endpoint.settled(runs)).toMatchObject({ status: 'COMPLETED' });
});

test('refresh_worker is for workers: the endpoint goes on', async () => {
  endpoint = await startEndpoint(() => ({ a: 1, refresh_worker: true }), {
    options: { refreshWorker: true },
  });
  for (let i = 0; i < 2; i++) {
    expect(await endpoint.settled(await endpoint.run({}))).toMatchObject({ output: { a: 1 } });
  }
});
