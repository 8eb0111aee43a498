import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { startEndpoint, type TestEndpoint } from './support.ts';

interface Called {
  path: string;
  headers: Record<string, unknown>;
  body: Record<string, unknown>;
}

let endpoint: TestEndpoint;
let server: Server;
let called: Called[];
/** What the next calls are answered with; 200 when there is none left. `cut`: the connection. */
let answers: (number | 'cut')[];
let heard: (() => void) | undefined;

beforeEach(async () => {
  called = [];
  answers = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Called['body'];
      called.push({ path: request.url ?? '', headers: request.headers, body });
      const answer = answers.shift() ?? 200;
      if (answer === 'cut') response.destroy();
      else response.writeHead(answer).end();
      heard?.();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
  server.close();
  server.closeAllConnections();
});

const address = (path = '/hook'): string =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;

async function calls(count: number): Promise<Called[]> {
  while (called.length < count) await new Promise<void>((resolve) => (heard = resolve));
  return called;
}

test('is called with the result, once where it answers 200', async () => {
  endpoint = await startEndpoint(({ input }) => ({ got: input }));
  const webhook = address('/hook?token=secret4711');
  const id = await endpoint.run({ a: 1 }, { webhook });
  const [call] = await calls(1);
  expect(call?.path).toBe('/hook?token=secret4711');
  expect(call?.headers['content-type']).toBe('application/json');
  expect(call?.body).toEqual(await endpoint.status(id));
  expect(call?.body).toMatchObject({ id, status: 'COMPLETED', output: { got: { a: 1 } } });
  await endpoint.stop();
  expect(called).toHaveLength(1);
  expect(endpoint.log()).not.toContain('secret4711');
});

test.each<[string, (number | 'cut')[], number, string]>([
  ['not taken once', [500], 2, 'Webhook called'],
  ['taken at the last call', ['cut', 302], 3, 'Webhook called'],
  ['never taken', [404, 204, 500, 200], 3, 'A webhook was not told of its job'],
])('%s', async (_, given, count, told) => {
  answers = given;
  endpoint = await startEndpoint(() => 1, { limits: { webhookRetryMs: 10 } });
  const id = await endpoint.run({}, { webhook: address() });
  await calls(count);
  await endpoint.stop();
  expect(called).toHaveLength(count);
  expect(new Set(called.map(({ body }) => body.id))).toEqual(new Set([id]));
  expect(endpoint.log()).toContain(told);
});

test('the pause between two calls is the one that was set', async () => {
  answers = [500];
  endpoint = await startEndpoint(() => 1, { limits: { webhookRetryMs: 3_600_000 } });
  await endpoint.run({}, { webhook: address() });
  await calls(1);
  // The end of the endpoint gives up what waits for its next call, and says so.
  await endpoint.stop();
  expect(called).toHaveLength(1);
  expect(endpoint.log()).toContain('A webhook was not told of its job');
});

test('is called of failures, cancels and time-outs too', async () => {
  endpoint = await startEndpoint(
    ({ input }) => {
      if (input === 'fail') throw new Error('no');
      return new Promise(() => undefined);
    },
    { options: { concurrency: 3, shutdownGraceMs: 0 } },
  );
  const webhook = address();
  const failed = await endpoint.run('fail', { webhook });
  const late = await endpoint.run('hang', { webhook, policy: { executionTimeout: 20 } });
  const cancelled = await endpoint.run('hang', { webhook });
  await endpoint.call('POST', `/cancel/${cancelled}`);
  const states = new Map((await calls(3)).map(({ body }) => [body.id, body.status]));
  expect(states).toEqual(
    new Map([
      [failed, 'FAILED'],
      [cancelled, 'CANCELLED'],
      [late, 'TIMED_OUT'],
    ]),
  );
});
