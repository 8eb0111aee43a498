import { afterAll, beforeAll, expect, test } from '@jest/globals';
import runpodSdk, * as sdk from 'runpod-sdk';

import { startEndpointProcess, type EndpointProcess } from './support.ts';

/** Gives back its input, waits for a cancel, waits for another job, streams, or fails: as the input says. */
const HANDLER = `(job, { signal, progress }) => {
  const { input } = job;
  if (input.pieces) return (async function* () { for (const piece of input.pieces) yield piece; })();
  return (async () => {
    if (input.fail) throw new Error(input.fail);
    if (input.hold) { progress({ held: true }); await aborted(signal); }
    if (input.release) waiting.get(input.release)?.();
    if (input.wait) await new Promise((resolve) => waiting.set(input.wait, resolve));
    return { got: input };
  })();
}`;

const KEY = 'a-key-of-one-s-own';
let server: EndpointProcess;
let endpoint: NonNullable<ReturnType<ReturnType<typeof runpodSdk>['endpoint']>>;

beforeAll(async () => {
  server = await startEndpointProcess({
    handler: HANDLER,
    before: 'const waiting = new Map();',
    args: ['--rp_api_concurrency', '2'],
    env: { LOCAL_ENDPOINT_KEY: KEY },
  });
  const opened = runpodSdk(KEY, { baseUrl: `${server.url}/v2` }).endpoint('local');
  if (opened === null) throw new Error('the SDK gave no endpoint');
  endpoint = opened;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('these are all methods that the SDK has', () => {
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(endpoint));
  expect(methods.toSorted()).toEqual([
    'cancel',
    'constructor',
    'health',
    'purgeQueue',
    'run',
    'runSync',
    'status',
    'statusSync',
    'stream',
  ]);
  const exported = Object.entries(sdk).flatMap(([name, value]) =>
    typeof value === 'function' ? [name] : [],
  );
  expect(exported.toSorted()).toEqual([
    'default',
    'health',
    'purgeQueue',
    'run',
    'runSync',
    'status',
    'stream',
  ]);
});

test('runSync', async () => {
  expect(await endpoint.runSync({ input: { a: [1, null] } })).toMatchObject({
    id: expect.stringMatching(/^sync-/),
    status: 'COMPLETED',
    output: { got: { a: [1, null] } },
    delayTime: expect.any(Number),
    executionTime: expect.any(Number),
    started: true,
    completed: true,
    succeeded: true,
  });
});

test('runSync of a job that fails', async () => {
  const result = await endpoint.runSync({ input: { fail: 'no such row' } });
  expect(result).toMatchObject({ status: 'FAILED', completed: true, succeeded: false });
  expect((result as unknown as { error: string }).error).toContain('no such row');
});

test('run, status while it runs with its progress, cancel, status', async () => {
  const { id, status } = await endpoint.run({ input: { hold: true } });
  expect(status).toBe('IN_QUEUE');
  const running = await untilStatus(id, 'IN_PROGRESS');
  expect(running).toMatchObject({ id, output: { held: true }, completed: false, workerId: 'local' });
  expect(await endpoint.cancel(id)).toMatchObject({
    id,
    status: 'CANCELLED',
    delayTime: expect.any(Number),
    executionTime: expect.any(Number),
  });
  expect(await endpoint.status(id)).toMatchObject({ status: 'CANCELLED', completed: true, succeeded: false });
});

test('statusSync waits for the end', async () => {
  const { id } = await endpoint.run({ input: { wait: 'w' } });
  await untilStatus(id, 'IN_PROGRESS');
  const waiting = endpoint.statusSync(id);
  await endpoint.run({ input: { release: 'w' } });
  expect(await waiting).toMatchObject({ id, status: 'COMPLETED', output: { got: { wait: 'w' } } });
});

test('stream', async () => {
  const pieces = [{ n: 1 }, 'two', null, [3]];
  const { id } = await endpoint.run({ input: { pieces } });
  const seen = await Array.fromAsync(endpoint.stream(id));
  expect(seen).toEqual(pieces.map((output) => ({ output })));
  expect(await endpoint.status(id)).toMatchObject({ status: 'COMPLETED', output: [] });
});

test('health and purgeQueue', async () => {
  const held = [await endpoint.run({ input: { hold: true } }), await endpoint.run({ input: { hold: true } })];
  for (const { id } of held) await untilStatus(id, 'IN_PROGRESS');
  const queued = await endpoint.run({ input: {} });
  expect(await endpoint.health()).toMatchObject({
    jobs: {
      inProgress: 2,
      inQueue: 1,
      completed: expect.any(Number),
      failed: expect.any(Number),
      retried: 0,
    },
    workers: { idle: 0, initializing: 0, running: 1, throttled: 0 },
  });
  expect(await endpoint.purgeQueue()).toEqual({ removed: 1, status: 'completed' });
  expect(await endpoint.status(queued.id)).toMatchObject({ status: 'CANCELLED' });
  for (const { id } of held) await endpoint.cancel(id);
});

/** The package's own types of these need a package that it does not bring along. */
const functions = sdk as unknown as Record<
  'run' | 'runSync' | 'status' | 'health' | 'purgeQueue',
  (...args: unknown[]) => Promise<unknown>
>;

test('the same by its functions', async () => {
  const place = [`${server.url}/v2`, KEY, 'local'] as const;
  const { id } = (await functions.run(...place, { input: { pieces: [1] } }, 3_000)) as { id: string };
  expect(await Array.fromAsync(sdk.stream(...place, id))).toEqual([{ output: 1 }]);
  expect(await functions.status(...place, id, 3_000)).toMatchObject({ status: 'COMPLETED' });
  expect(await functions.runSync(...place, { input: 7 }, 9_000)).toMatchObject({ output: { got: 7 } });
  expect(await functions.health(...place, 3_000)).toMatchObject({ workers: { running: 0, idle: 1 } });
  expect(await functions.purgeQueue(...place, 3_000)).toMatchObject({ removed: 0 });
});

test('another key is refused', async () => {
  const stranger = runpodSdk('another key', { baseUrl: `${server.url}/v2` }).endpoint('local');
  await expect(stranger?.health()).rejects.toMatchObject({ response: { status: 401 } });
});

async function untilStatus(id: string, wanted: string): Promise<unknown> {
  for (;;) {
    const found = await endpoint.status(id);
    if (found.status === wanted) return found;
  }
}
