import { afterEach, expect, test } from '@jest/globals';

import { gate, startEndpoint, type TestEndpoint } from './support.ts';

let endpoint: TestEndpoint;
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
});

const next = async (id: string) => (await endpoint.call('GET', `/v2/x/stream/${id}`)).body;

test('each piece is handed out once, as soon as it is there', async () => {
  const gates = [gate(), gate()] as const;
  endpoint = await startEndpoint(async function* () {
    yield 1;
    await gates[0].opened;
    yield 2;
    yield 3;
    await gates[1].opened;
  });
  const id = await endpoint.run({});
  expect(await next(id)).toMatchObject({ status: 'IN_PROGRESS', stream: [{ output: 1 }] });
  const waiting = next(id);
  gates[0].open();
  const seen = (await waiting).stream as unknown[];
  if (seen.length < 2) seen.push(...((await next(id)).stream as unknown[]));
  expect(seen).toEqual([{ output: 2 }, { output: 3 }]);
  gates[1].open();
  await endpoint.settled(id);
  expect(await next(id)).toEqual({
    id,
    status: 'COMPLETED',
    stream: [],
    delayTime: expect.any(Number),
    executionTime: expect.any(Number),
    workerId: 'w1',
  });
});

test('a request for headers alone takes no piece', async () => {
  endpoint = await startEndpoint(async function* () {
    yield await Promise.resolve('a');
  });
  const id = await endpoint.run({});
  await endpoint.settled(id);
  expect((await fetch(`${endpoint.url}/stream/${id}`, { method: 'HEAD' })).status).toBe(200);
  expect(await next(id)).toMatchObject({ stream: [{ output: 'a' }] });
});

test('a generator that throws: its pieces, then its error where the stream is read', async () => {
  endpoint = await startEndpoint(async function* () {
    yield await Promise.resolve('a');
    throw new Error('broken midway');
  });
  const id = await endpoint.run({});
  expect(await endpoint.settled(id)).toMatchObject({
    status: 'FAILED',
    error: expect.stringContaining('midway'),
  });
  expect(await next(id)).toMatchObject({
    status: 'FAILED',
    stream: [{ output: 'a' }, { error: expect.stringContaining('broken midway') }],
  });
});

test('aggregateStream: the output is all of it', async () => {
  const handler = async function* () {
    yield* await Promise.resolve([1, 2]);
  };
  endpoint = await startEndpoint(handler, { options: { aggregateStream: true } });
  expect(await endpoint.settled(await endpoint.run({}))).toMatchObject({ output: [1, 2] });
});
