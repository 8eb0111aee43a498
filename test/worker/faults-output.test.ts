import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from '../../src/worker/simulator/simulator.ts';
import { errorOf, resultOf, startWorker, type WorkerProcess } from './support.ts';

/** Fails in every way that an input can ask for. */
const HANDLER = `async ({ input }, { progress }) => {
  switch (input.do) {
    case 'throw': throw new TypeError('broken: apikey=plain4711 ' + input.api_key);
    case 'bigint': return { counts: [{ a: 1 }, { a: 10n }] };
    case 'cycle': { const a = { b: {} }; a.b.c = a; return a; }
    case 'buffer': return { bytes: Buffer.from('x') };
    case 'large': return { text: 'x'.repeat(30_000_000) };
    case 'error text': return { error: 'all failed', status: 'error' };
    case 'error object': return { error: { code: 7 } };
    case 'nothing': return undefined;
    case 'throw nothing': throw undefined;
    case 'throw an answer': throw Object.assign(new Error(), { message: { code: 'PGRST' }, stack: undefined });
    case 'throw a proxy': { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy; }
    case 'never': progress({ a: 1 }); return new Promise(() => setInterval(() => undefined, 1000));
    default: return { got: input };
  }
}`;

let simulator: Simulator;
let worker: WorkerProcess;
beforeAll(async () => {
  simulator = await startSimulator({ longPollMs: 2_000 });
  worker = await startWorker(simulator, { handler: HANDLER });
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await simulator.close();
});
afterEach(() => {
  expect(simulator.violations).toEqual([]);
  for (const posts of simulator.results.values()) expect(posts).toHaveLength(1);
});

describe('whatever a handler does, its job gets one final post', () => {
  test('it returns', async () => {
    const id = simulator.submit({ a: 1 });
    expect(await resultOf(simulator, id)).toMatchObject({ output: { got: { a: 1 } }, isStream: false });
  });

  test('it throws: type, message, trace, host, worker, and no secret of its input', async () => {
    const id = simulator.submit({ do: 'throw', api_key: 'unusual-secret-0815' });
    const error = await errorOf(simulator, id);
    expect(error).toMatchObject({
      error_type: 'TypeError',
      error_message: expect.stringContaining('broken'),
      error_traceback: expect.stringContaining('worker.mjs'),
      hostname: 'w1-host',
      worker_id: 'w1',
      runpod_version: expect.any(String),
    });
    expect(JSON.stringify(error)).not.toMatch(/plain4711|unusual-secret/);
  });

  test.each([
    ['bigint', /output\.counts\[1\]\.a is a BigInt/],
    ['cycle', /output\.b\.c holds itself/],
    ['buffer', /output\.bytes is binary data/],
    ['large', /30000011 bytes, above the limit of 20000000 bytes/],
    ['throw nothing', /undefined/],
    ['throw an answer', /object Object/],
    ['throw a proxy', /cannot be read/],
  ])('it gives %s: an error that says what is wrong', async (what, message) => {
    const error = await errorOf(simulator, simulator.submit({ do: what }));
    expect(error.error_message).toMatch(message);
  });

  test('it never settles: an error soon after its time-out', async () => {
    const id = simulator.submit({ do: 'never' }, { policy: { executionTimeout: 300 } });
    expect(await errorOf(simulator, id)).toMatchObject({
      error_code: 'timed_out',
      error_message: expect.stringContaining('300 ms'),
    });
    expect(simulator.progress.get(id)).toMatchObject([{ output: { a: 1 } }]);
  });

  test('it has no input: an error', async () => {
    expect((await errorOf(simulator, simulator.submit(null))).error_message).toContain('input');
  });

  test('it returns an error: text is the error, the rest stays the output', async () => {
    const id = simulator.submit({ do: 'error text' });
    expect(await resultOf(simulator, id)).toMatchObject({ error: 'all failed', output: { status: 'error' } });
  });

  test('it returns an error that is no text: it becomes text', async () => {
    const id = simulator.submit({ do: 'error object' });
    expect(await resultOf(simulator, id)).toMatchObject({ error: '{"code":7}' });
  });

  test('it returns nothing: null', async () => {
    expect(await resultOf(simulator, simulator.submit({ do: 'nothing' }))).toMatchObject({ output: null });
  });
});
