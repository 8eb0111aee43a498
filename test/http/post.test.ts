import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

import { describe, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { createHttp } from '../../src/http/http.ts';
import { inTurn, rejection, startServer } from './support.ts';

const LOCAL = { allowPrivateHosts: true };
const POST = { json: { a: 'ü' }, timeoutMs: 5_000, attempts: 3 };

test('sends JSON, with the headers it is given', async () => {
  const seen: { request: IncomingMessage; body: string }[] = [];
  await using server = await startServer((request, response) => {
    void text(request).then((body) => {
      seen.push({ request, body });
      response.writeHead(204).end();
    });
  });
  await using http = createHttp({ ...LOCAL, userAgent: 'tester/1' });
  await http.post(`${server.url}/hook?x=1`, { ...POST, headers: { 'X-Run': '7' } });
  expect(seen[0]?.body).toBe('{"a":"ü"}');
  expect(seen[0]?.request).toMatchObject({
    method: 'POST',
    url: '/hook?x=1',
    headers: { 'content-type': 'application/json', 'x-run': '7', 'user-agent': 'tester/1' },
  });
});

describe('tries again', () => {
  test('what may pass, with the whole body each time', async () => {
    const bodies: string[] = [];
    const keep = (request: IncomingMessage): void =>
      void text(request).then(
        (body) => bodies.push(body),
        () => undefined,
      );
    await using server = await startServer(
      inTurn(
        (response, request) => {
          keep(request);
          response.writeHead(503).end();
        },
        (response) => response.destroy(),
        (response, request) => {
          keep(request);
          request.on('end', () => response.end('fine'));
        },
      ),
    );
    await using http = createHttp(LOCAL);
    await http.post(`${server.url}/hook`, POST);
    expect(server.requests).toHaveLength(3);
    expect(bodies).toEqual(['{"a":"ü"}', '{"a":"ü"}']);
  });

  test('as often as asked and no more', async () => {
    await using server = await startServer((_, response) => response.writeHead(500).end());
    await using http = createHttp(LOCAL);
    expect(await rejection(http.post(`${server.url}/hook`, { ...POST, attempts: 2 }))).toMatchObject({
      code: 'http_500',
      message: expect.stringMatching(/^POST http:.*\/hook was answered with status 500$/) as unknown,
    });
    expect(server.requests).toHaveLength(2);
  });

  test('what does not answer in time', async () => {
    await using server = await startServer(
      inTurn(
        () => undefined,
        (response) => response.end(),
      ),
    );
    await using http = createHttp(LOCAL);
    await http.post(`${server.url}/hook`, { ...POST, timeoutMs: 200 });
    expect(server.requests).toHaveLength(2);
  });

  test('not what is refused for good', async () => {
    await using server = await startServer((_, response) => response.writeHead(404).end());
    await using http = createHttp(LOCAL);
    expect(await rejection(http.post(`${server.url}/hook`, POST))).toMatchObject({ code: 'http_404' });
    expect(server.requests).toHaveLength(1);
  });
});

test('a redirect is an error: nothing is posted anywhere else', async () => {
  await using server = await startServer((request, response) => {
    if (request.url === '/hook') response.writeHead(307, { location: '/elsewhere' }).end();
    else response.end();
  });
  await using http = createHttp(LOCAL);
  expect(await rejection(http.post(`${server.url}/hook`, POST))).toMatchObject({ code: 'http_307' });
  expect(server.requests).toEqual(['/hook']);
});

test('the guard holds for what is posted too', async () => {
  await using server = await startServer((_, response) => response.end());
  await using http = createHttp();
  expect(await rejection(http.post(`${server.url}/hook`, POST))).toMatchObject({ code: 'blocked_address' });
  expect(server.requests).toEqual([]);
});

test('ends with its signal', async () => {
  await using server = await startServer(() => undefined);
  await using http = createHttp(LOCAL);
  const stop = new AbortController();
  const posting = rejection(http.post(`${server.url}/hook`, { ...POST, signal: stop.signal }));
  while (server.requests.length === 0) await new Promise(setImmediate);
  const reason = new StoppedError('cancelled', 'by the test');
  stop.abort(reason);
  expect(await posting).toBe(reason);
});
