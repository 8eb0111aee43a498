import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from '../../src/worker/simulator/simulator.ts';
import { errorOf, resultOf, startWorker, type WorkerProcess } from './support.ts';

let simulator: Simulator;
let worker: WorkerProcess;
beforeEach(async () => {
  simulator = await startSimulator({ longPollMs: 20_000 });
});
afterEach(async () => {
  await worker[Symbol.asyncDispose]();
  await simulator.close();
  expect(simulator.violations).toEqual([]);
});

const taken = () => simulator.waitFor(() => simulator.requests.some(({ route }) => route === 'take'));

describe('SIGTERM', () => {
  test('while nothing runs: the poll is ended, the exit code is 0', async () => {
    worker = await startWorker(simulator, { handler: 'async () => 1' });
    await taken();
    worker.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    const id = simulator.submit({});
    expect(simulator.waiting).toBe(1);
    expect(simulator.results.get(id)).toBeUndefined();
  });

  test('between the take and the start of its job: the job is run and answered', async () => {
    // The job is on its way when the signal comes: the main thread is busy, and reads it after that.
    worker = await startWorker(simulator, {
      handler: 'async ({ input }) => ({ got: input })',
      before: `
        import { writeSync } from 'node:fs';
        setTimeout(() => {
          writeSync(2, 'busy');
          const until = Date.now() + 1500;
          while (Date.now() < until);
        }, 1500);`,
    });
    await taken();
    await worker.logged('busy');
    const id = simulator.submit({ a: 1 });
    worker.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect(simulator.results.get(id)).toMatchObject([{ output: { got: { a: 1 } } }]);
  });

  test('while a job runs that ends when told: its failure says what to do', async () => {
    worker = await startWorker(simulator, {
      handler: `async (job, { signal, log }) => { log.info('started'); await aborted(signal); }`,
    });
    const id = simulator.submit({});
    await worker.logged('started');
    worker.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect(await errorOf(simulator, id)).toMatchObject({
      error_code: 'shutdown',
      error_message: expect.stringMatching(/stopped by SIGTERM.*submit it again/),
    });
  });

  test('while a job runs that takes no notice and ends in time: its output counts', async () => {
    worker = await startWorker(simulator, {
      handler: `async (job, { log }) => { log.info('started'); await sleep(700); return 'whole'; }`,
    });
    const id = simulator.submit({});
    await worker.logged('started');
    worker.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect(simulator.results.get(id)).toMatchObject([{ output: 'whole' }]);
  });

  test('while a job runs: it is told how long it has, of which posting is taken off already', async () => {
    worker = await startWorker(simulator, {
      handler: `async (job, { signal, log }) => {
        log.info('started');
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return { code: signal.reason.code, graceMs: Math.round(signal.reason.graceMs) };
      }`,
      options: '{ shutdownGraceMs: 12000 }',
    });
    const id = simulator.submit({});
    await worker.logged('started');
    worker.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect(simulator.results.get(id)).toMatchObject([{ output: { code: 'shutdown', graceMs: 10_000 } }]);
  });

  test('while a job runs that never ends: its failure is posted within the grace, and the process ends', async () => {
    worker = await startWorker(simulator, {
      handler: `(job, { log }) => { log.info('started'); return new Promise(() => setInterval(() => 1, 1000)); }`,
      options: '{ shutdownGraceMs: 1500 }',
    });
    const id = simulator.submit({});
    await worker.logged('started');
    worker.kill('SIGTERM');
    expect(await worker.ended).toBe(0);
    expect((await errorOf(simulator, id)).error_code).toBe('shutdown');
    expect(simulator.results.get(id)).toHaveLength(1);
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s twice ends it at once with %i', async (signal, code) => {
    worker = await startWorker(simulator, {
      handler: `(job, { log }) => { log.info('started'); return new Promise(() => setInterval(() => 1, 1000)); }`,
      options: '{ shutdownGraceMs: 60000 }',
    });
    simulator.submit({});
    await worker.logged('started');
    worker.kill(signal);
    await worker.logged('Stopping');
    worker.kill(signal);
    expect(await worker.ended).toBe(code);
  });
});

describe('a process that cannot go on', () => {
  test.each([
    ['an exception outside of the job', `setTimeout(() => { throw new Error('stray') }, 10)`],
    ['a rejection that nobody handles', `void Promise.reject(new Error('stray'))`],
  ])('%s: every job is answered, exit code 1', async (_, fault) => {
    worker = await startWorker(simulator, {
      handler: `async (job) => { if (job.input.fault) ${fault}; await sleep(60000, undefined, { ref: false }); }`,
      options: '{ concurrency: 2 }',
    });
    const ids = [simulator.submit({}), simulator.submit({ fault: true })];
    for (const id of ids)
      expect(await errorOf(simulator, id)).toMatchObject({
        error_code: 'worker_failed',
        error_message: expect.stringContaining('failed outside of the job: stray'),
      });
    expect(await worker.ended).toBe(1);
  });
});

test('a job that is on its way when something fails outside of all jobs is answered as well', async () => {
  worker = await startWorker(simulator, {
    handler: 'async () => 1',
    before: `
      import { writeSync } from 'node:fs';
      setTimeout(() => {
        writeSync(2, 'busy');
        const until = Date.now() + 1500;
        while (Date.now() < until);
        throw new Error('stray');
      }, 1500);`,
  });
  await taken();
  await worker.logged('busy');
  const id = simulator.submit({});
  expect(await worker.ended).toBe(1);
  expect((await errorOf(simulator, id)).error_code).toBe('worker_failed');
});

describe('a worker that is to be replaced', () => {
  test('says so with its last result and ends', async () => {
    worker = await startWorker(simulator, {
      handler: 'async ({ input }) => { await sleep(input.ms); return input.ms; }',
      options: '{ concurrency: 2, refreshWorker: true }',
    });
    await simulator.waitFor(() => simulator.requests.some(({ route }) => route === 'take-batch'));
    const short = simulator.submit({ ms: 800 }, { id: 'short' });
    const long = simulator.submit({ ms: 1600 }, { id: 'long' });
    expect((await resultOf(simulator, short)).stopPod).toBeUndefined();
    expect((await resultOf(simulator, long)).stopPod).toBe(true);
    expect(await worker.ended).toBe(0);
  });

  test('says so with the later of two results that are ready at once', async () => {
    worker = await startWorker(simulator, {
      handler: 'async () => { await sleep(Math.max(0, globalThis.both - Date.now())); return 1; }',
      before: 'globalThis.both = Date.now() + 2000;',
      options: '{ concurrency: 2, refreshWorker: true }',
    });
    const ids = [simulator.submit({}), simulator.submit({})];
    const results = await Promise.all(ids.map((id) => resultOf(simulator, id)));
    const [earlier, later] = results.toSorted((a, b) => a.time - b.time);
    expect([earlier?.stopPod, later?.stopPod]).toEqual([undefined, true]);
    expect(await worker.ended).toBe(0);
  });

  test('by the word of a handler', async () => {
    worker = await startWorker(simulator, { handler: 'async () => ({ a: 1, refresh_worker: true })' });
    const result = await resultOf(simulator, simulator.submit({}));
    expect(result).toMatchObject({ output: { a: 1 }, stopPod: true });
    expect(await worker.ended).toBe(0);
  });
});
