import { getEventListeners, once } from 'node:events';
import type { ServerResponse } from 'node:http';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { createDirectHttp, type DirectHttp } from '../../src/http/direct.ts';
import { rejection, startServer, type TestServer } from './support.ts';

let http: DirectHttp;
let server: TestServer;
/** The answer to the one request. */
let answering: PromiseWithResolvers<ServerResponse>;

beforeEach(async () => {
  http = createDirectHttp();
  answering = Promise.withResolvers();
  server = await startServer((_, response) => answering.resolve(response));
});
afterEach(async () => {
  await http.close();
  await server[Symbol.asyncDispose]();
});

const get = (options: Partial<Parameters<DirectHttp['request']>[0]>) =>
  http.request({ method: 'GET', url: server.url, headers: {}, timeoutMs: 20_000, ...options });

test('an answer that has begun is read to its end, whatever was to end the wait for it', async () => {
  const early = new AbortController();
  const asked = get({ untilAnswer: early.signal });
  const response = await answering.promise;
  response.write('{"id":');
  while (getEventListeners(early.signal, 'abort').length > 0) await new Promise(setImmediate);
  early.abort(new Error('told to stop'));
  await new Promise(setImmediate);
  response.end('"a"}');
  expect(await asked).toMatchObject({ status: 200, body: '{"id":"a"}' });
});

test('one that has not begun is waited for no longer, and its connection is ended', async () => {
  const early = new AbortController();
  const asked = rejection(get({ untilAnswer: early.signal }));
  const response = await answering.promise;
  early.abort(new Error('told to stop'));
  expect(await asked).toMatchObject({ message: 'told to stop' });
  if (!response.closed) await once(response, 'close');
});

test('the limit holds for an answer that drips, and nothing is left on the signals', async () => {
  const early = new AbortController();
  const stop = new AbortController();
  const asked = rejection(get({ untilAnswer: early.signal, signal: stop.signal, timeoutMs: 300 }));
  const response = await answering.promise;
  const drip = setInterval(() => response.write('.'), 5);
  expect(await asked).toMatchObject({ code: 'timeout', retryable: true });
  clearInterval(drip);
  for (const { signal } of [early, stop]) expect(getEventListeners(signal, 'abort')).toEqual([]);
});
