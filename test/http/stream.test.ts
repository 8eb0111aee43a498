import { gzipSync } from 'node:zlib';

import { describe, expect, test } from '@jest/globals';

import { createHttp, type Http } from '../../src/http/http.ts';
import { retryAfterOf } from '../../src/http/retry-after.ts';
import { inTurn, rejection, startServer } from './support.ts';

const MB = 1 << 20;
const PRIVATE = { allowPrivateHosts: true, attempts: 5 };

const textOf = (http: Http, url: string, maxBytes = MB): Promise<string> =>
  http.stream(url, { maxBytes }, async ({ body }) => Buffer.concat(await Array.fromAsync(body)).toString());

describe('a streamed answer', () => {
  test('comes in pieces, through a redirect that takes no secret along', async () => {
    const seen: unknown[] = [];
    await using other = await startServer((request, response) => {
      seen.push([request.headers.authorization, request.headers.range]);
      response.writeHead(206, { 'content-range': 'bytes 2-3/4' }).end('cd');
    });
    await using server = await startServer((_, response) =>
      response.writeHead(302, { location: `http://localhost:${String(other.port)}/file` }).end(),
    );
    await using http = createHttp(PRIVATE);
    const headers = { authorization: 'Bearer secret', range: 'bytes=2-' };
    const found = await http.stream(server.url, { maxBytes: 2, headers }, async (answer) => ({
      ...answer,
      body: Buffer.concat(await Array.fromAsync(answer.body)).toString(),
    }));
    expect(found).toMatchObject({ status: 206, headers: { 'content-range': 'bytes 2-3/4' }, body: 'cd' });
    expect(new URL(found.url).hostname).toBe('localhost');
    expect(seen).toEqual([[undefined, 'bytes=2-']]);
  });

  test('a redirect to another origin is the answer where it is not to be followed', async () => {
    await using server = await startServer(
      inTurn(
        (response) => response.writeHead(307, { location: '/moved' }).end(),
        (response) => response.writeHead(302, { location: 'http://other.invalid/x', 'x-commit': 'a' }).end(),
      ),
    );
    await using http = createHttp(PRIVATE);
    const options = { maxBytes: 0, method: 'HEAD', leaveOrigin: false } as const;
    const found = await http.stream(server.url, options, ({ status, headers }) =>
      Promise.resolve({ status, commit: headers['x-commit'] }),
    );
    expect(found).toEqual({ status: 302, commit: 'a' });
    expect(server.requests).toEqual(['/', '/moved']);
  });

  test('is tried once, and a wanted status is no error', async () => {
    await using server = await startServer((_, response) => response.writeHead(503).end('busy'));
    await using http = createHttp(PRIVATE);
    expect(await rejection(textOf(http, server.url))).toMatchObject({ code: 'http_503', retryable: true });
    const options = { maxBytes: MB, accept: [503] };
    expect(await http.stream(server.url, options, ({ status }) => Promise.resolve(status))).toBe(503);
    expect(server.requests).toHaveLength(2);
  });

  test('is limited as sent and as unpacked', async () => {
    const packed = gzipSync('x'.repeat(5000));
    await using server = await startServer(({ url }, response) => {
      if (url === '/packed') response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed);
      else if (url === '/broken') response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip');
      else response.end('x'.repeat(5000));
    });
    await using http = createHttp(PRIVATE);
    expect(await textOf(http, `${server.url}/packed`, 5000)).toHaveLength(5000);
    expect(await rejection(textOf(http, `${server.url}/packed`, 4999))).toMatchObject({ code: 'too_large' });
    expect(await rejection(textOf(http, server.url, 4999))).toMatchObject({ code: 'too_large' });
    const broken = await rejection(textOf(http, `${server.url}/broken`));
    expect(broken).toMatchObject({ code: 'unsupported_encoding' });
  });

  test('that is cut off says so, and what its reader throws is passed on', async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half', () => response.destroy());
    });
    await using http = createHttp({ ...PRIVATE, connectionsPerHost: 1 });
    expect(await rejection(textOf(http, server.url))).toMatchObject({ code: 'network', retryable: true });
    const thrown = http.stream(server.url, { maxBytes: MB }, () => Promise.reject(new TypeError('mine')));
    expect(await rejection(thrown)).toBeInstanceOf(TypeError);
    // The one place is free again.
    expect(await rejection(textOf(http, server.url))).toMatchObject({ code: 'network' });
  });

  test('the guard holds', async () => {
    await using server = await startServer((_, response) => response.end('secret'));
    await using http = createHttp();
    expect(await rejection(textOf(http, server.url))).toMatchObject({ code: 'blocked_address' });
    expect(server.requests).toEqual([]);
  });

  test('stops with the caller', async () => {
    const stop = new AbortController();
    await using server = await startServer((_, response) => response.writeHead(200).write('some'));
    await using http = createHttp(PRIVATE);
    const reading = http.stream(server.url, { maxBytes: MB, signal: stop.signal }, async ({ body }) => {
      for await (const _ of body) stop.abort(new TypeError('enough'));
    });
    expect(await rejection(reading)).toMatchObject({ message: 'enough' });
  });
});

test.each([
  [{ 'retry-after': '3', ratelimit: '"api";r=0;t=55' }, 3000],
  [{ ratelimit: '"api|resolvers";r=0;t=55' }, 55_000],
  [{ ratelimit: '"api";r=7;t=55' }, undefined],
  [{ 'ratelimit-remaining': '0', 'ratelimit-reset': '12' }, 12_000],
  [{ 'ratelimit-remaining': '1', 'ratelimit-reset': '12' }, undefined],
  [{}, undefined],
])('%j asks to wait for %s ms', (headers, ms) => {
  expect(retryAfterOf(headers as Record<string, string>)).toBe(ms);
});
