import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from '../../src/worker/simulator/simulator.ts';
import { errorOf, resultOf, startWorker, type WorkerProcess } from './support.ts';

const ERRORS = fileURLToPath(new URL('../../src/base/errors.ts', import.meta.url));

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

const posts = (id: string) =>
  simulator.requests.filter(({ jobId, route }) => jobId === id && route !== 'ping');

describe('progress', () => {
  test('is in order, coalesced, and before the final post, however slow the service is', async () => {
    simulator.script({ route: 'progress', delayMs: 100 });
    worker = await startWorker(simulator, {
      handler: `async (job, { progress }) => {
        const value = { n: 0 };
        for (let n = 0; n < 200; n++) { value.n = n; progress(value); await sleep(1); }
        setTimeout(() => progress('late'), 50).unref();
        return 'end';
      }`,
    });
    const id = simulator.submit({});
    await resultOf(simulator, id);
    await simulator.waitFor(() => simulator.requests.some(({ route, time }) => route === 'take' && time > 0));
    const seen = (simulator.progress.get(id) ?? []).map(({ output }) => (output as { n: number }).n);
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(199);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.length).toBeLessThan(100);
    expect(posts(id).at(-1)?.route).toBe('done');
  });

  test('that is no JSON is left out, and the job goes on', async () => {
    worker = await startWorker(simulator, {
      handler: `async (job, { progress }) => { progress(1n); progress({ ok: 1 }); return 'end'; }`,
    });
    const id = simulator.submit({});
    expect(await resultOf(simulator, id)).toMatchObject({ output: 'end' });
    expect(simulator.progress.get(id)).toMatchObject([{ output: { ok: 1 } }]);
  });

  test('that is refused holds no result back', async () => {
    simulator.script({ route: 'progress', outcome: { status: 500 } });
    worker = await startWorker(simulator, {
      handler: `async (job, { progress }) => { progress(1); return 'end'; }`,
    });
    expect(await resultOf(simulator, simulator.submit({}))).toMatchObject({ output: 'end' });
  });
});

describe('a generator', () => {
  const handler = `async function* ({ input }) {
    for (let i = 0; i < 3; i++) yield { i };
    if (input.fail) throw new Error('broken midway');
    if (input.large) yield 'x'.repeat(1_100_000);
  }`;

  test('streams its pieces in order, then an empty list', async () => {
    worker = await startWorker(simulator, { handler });
    const id = simulator.submit({});
    expect(await resultOf(simulator, id)).toMatchObject({ output: [], isStream: true });
    expect(simulator.streams.get(id)?.map(({ output }) => output)).toEqual([{ i: 0 }, { i: 1 }, { i: 2 }]);
  });

  test('or all of them, where asked to', async () => {
    worker = await startWorker(simulator, { handler, options: '{ aggregateStream: true }' });
    const result = await resultOf(simulator, simulator.submit({}));
    expect(result).toMatchObject({ output: [{ i: 0 }, { i: 1 }, { i: 2 }], isStream: true });
  });

  test('that throws: its pieces, its error in the stream, and its error as the result', async () => {
    simulator.script({ route: 'stream', outcome: { status: 500 }, nth: 2, times: 2 });
    worker = await startWorker(simulator, { handler });
    const id = simulator.submit({ fail: true });
    expect(await errorOf(simulator, id)).toMatchObject({ error_message: 'broken midway' });
    const pieces = simulator.requests.filter(({ route, status }) => route === 'stream' && status === 200);
    expect(pieces.map(({ body }) => body).slice(0, 3)).toEqual([0, 1, 2].map((i) => `{"output":{"i":${i}}}`));
    expect(pieces[3]?.body).toMatch(/^\{"error":".*broken midway/);
    expect((await resultOf(simulator, id)).isStream).toBe(true);
  });

  test('whose piece is too large: an error that names limit and size', async () => {
    worker = await startWorker(simulator, { handler });
    const error = await errorOf(simulator, simulator.submit({ large: true }));
    expect(error.error_message).toMatch(/piece 3 of the stream has 1100013 bytes.*1000000 bytes/);
  });
});

describe('cancel', () => {
  test('of a running job: its signal aborts, no result is posted, its place is free', async () => {
    worker = await startWorker(simulator, {
      handler: `async ({ input }, { signal, log }) => {
        if (!input.wait) return 'next';
        log.info('started');
        try { await aborted(signal); } finally { log.info('stopped as ' + signal.reason.code); }
      }`,
    });
    const id = simulator.submit({ wait: true });
    await worker.logged('started');
    simulator.stop(id);
    await worker.logged('stopped as cancelled');
    expect(await resultOf(simulator, simulator.submit({}))).toMatchObject({ output: 'next' });
    expect(simulator.results.get(id)).toBeUndefined();
    expect(posts(id)).toEqual([]);
  });

  test('of a job that was taken and waits for a place: it never starts', async () => {
    simulator.submit({ ms: 3000 }, { id: 'a' });
    simulator.submit({ ms: 1 }, { id: 'b' });
    worker = await startWorker(simulator, {
      handler: `async (job, { log }) => { log.info('started ' + job.id); await sleep(job.input.ms); return 1; }`,
      options: `{ concurrency: ({ running }) => (running > 0 ? 1 : 2) }`,
    });
    await worker.logged('started a');
    simulator.stop('b');
    await worker.logged('cancelled before it began');
    await resultOf(simulator, 'a');
    expect(await resultOf(simulator, simulator.submit({ ms: 1 }))).toMatchObject({ output: 1 });
    expect(worker.log()).not.toContain('started b"');
    expect(simulator.results.get('b')).toBeUndefined();
  });
});

describe('a job that is handed out a second time', () => {
  const handler = `async ({ input }, { signal, log }) => {
    log.info('started ' + input.run);
    if (input.run === 'first') {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await sleep(1000);
      log.info('ended first');
    }
    return input.run;
  }`;

  test('after it was cancelled, while it still winds up: it runs again after that, and is answered', async () => {
    worker = await startWorker(simulator, { handler, options: '{ concurrency: 2 }' });
    simulator.submit({ run: 'first' }, { id: 'a' });
    await worker.logged('started first');
    simulator.stop('a');
    await simulator.waitFor(() =>
      simulator.requests.some(({ route, status }) => route === 'stop' && status === 200),
    );
    simulator.submit({ run: 'second' }, { id: 'a' });
    expect(await resultOf(simulator, 'a')).toMatchObject({ output: 'second' });
    expect(simulator.results.get('a')).toHaveLength(1);
    const log = worker.log();
    expect(log.indexOf('ended first')).toBeLessThan(log.indexOf('started second'));
  });

  test('while it runs: it runs once, and is answered once', async () => {
    worker = await startWorker(simulator, {
      handler: `async (job, { log }) => { log.info('started'); await sleep(1500); return 1; }`,
      options: '{ concurrency: 2 }',
    });
    simulator.submit({}, { id: 'a' });
    await worker.logged('started');
    simulator.submit({}, { id: 'a' });
    await worker.logged('handed out a second time');
    await resultOf(simulator, 'a');
    worker.kill('SIGTERM');
    await worker.ended;
    expect(worker.log().match(/"started"/g)).toHaveLength(1);
    expect(simulator.results.get('a')).toHaveLength(1);
  });
});

describe('a job that a later run has taken over', () => {
  const before = `import { StoppedError } from ${JSON.stringify(ERRORS)};`;
  const handler = `async function* ({ input }) {
    yield 'piece';
    if (input.elsewhere === undefined) return;
    throw new StoppedError('superseded', 'a later run has it', { answeredElsewhere: input.elsewhere });
  }`;

  test('and that the queue knows by the same id: nothing is posted, and its place is free', async () => {
    worker = await startWorker(simulator, { handler, before });
    const id = simulator.submit({ elsewhere: true });
    expect(await resultOf(simulator, simulator.submit({}))).toMatchObject({ output: [] });
    expect(posts(id).map(({ body }) => body)).toEqual(['{"output":"piece"}']);
    expect(worker.log()).toContain('Job handed over');
    expect(simulator.finals).toBe(1);
  });

  test('and that the queue knows by another: its own request fails with the reason', async () => {
    worker = await startWorker(simulator, { handler, before });
    const id = simulator.submit({ elsewhere: false });
    expect(await errorOf(simulator, id)).toMatchObject({ error_code: 'superseded' });
  });
});

describe('concurrency', () => {
  const handler = `async ({ input }, { log }) => {
    log.info('started');
    if (input.long) await sleep(60000, undefined, { ref: false });
    globalThis.limit = 3;
    return 1;
  }`;

  test('that grows while a long job runs holds at once', async () => {
    worker = await startWorker(simulator, {
      handler,
      before: 'globalThis.limit = 1; setTimeout(() => { globalThis.limit = 2; }, 2500);',
      options: '{ concurrency: () => globalThis.limit, shutdownGraceMs: 1000 }',
    });
    const long = simulator.submit({ long: true });
    await worker.logged('started');
    expect(await resultOf(simulator, simulator.submit({}))).toMatchObject({ output: 1 });
    expect(simulator.results.get(long)).toBeUndefined();
    worker.kill('SIGTERM');
    await worker.ended;
    expect(simulator.results.get(long)).toHaveLength(1);
  });

  test.each(['0', '1.5', 'null', 'NaN', '"2"'])('%s is an error that says so', async (value) => {
    worker = await startWorker(simulator, { handler, options: `{ concurrency: ${value} }` });
    expect(await worker.ended).toBe(1);
    expect(worker.log()).toMatch(/concurrency: expected a whole number from 1 on/);
    expect(simulator.requests.filter(({ route }) => route === 'take')).toEqual([]);
  });

  test('that becomes none is an error: what runs is answered, exit code 1', async () => {
    worker = await startWorker(simulator, {
      handler: `async () => { await sleep(300); return 'whole'; }`,
      options: '{ concurrency: ({ running }) => (running > 0 ? null : 1) }',
    });
    expect(await resultOf(simulator, simulator.submit({}))).toMatchObject({ output: 'whole' });
    expect(await worker.ended).toBe(1);
  });

  test('that becomes none while a job waits for its place: that one is answered too', async () => {
    const ids = [simulator.submit({}), simulator.submit({})];
    worker = await startWorker(simulator, {
      handler: 'async () => { globalThis.begun = true; await sleep(300); return 1; }',
      options: '{ concurrency: () => (globalThis.begun ? null : 2) }',
    });
    for (const id of ids) expect(await resultOf(simulator, id)).toMatchObject({ output: 1 });
    expect(await worker.ended).toBe(1);
  });
});
