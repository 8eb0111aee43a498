import { describe, expect, test } from '@jest/globals';

import { createHttp, type HttpOptions } from '../../src/http/http.ts';
import { inTurn, rejection, startServer } from './support.ts';

const MAX = { maxBytes: 1_000_000 };
const ONCE: HttpOptions = { allowPrivateHosts: true, attempts: 1 };

describe('time-outs', () => {
  test('headers that do not come', async () => {
    await using server = await startServer(() => undefined);
    await using http = createHttp({ ...ONCE, headersTimeoutMs: 100 });
    expect(await rejection(http.get(server.url, MAX))).toMatchObject({ code: 'timeout', retryable: true });
  });

  test('a body that stands still', async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('x');
    });
    await using http = createHttp({ ...ONCE, bodyTimeoutMs: 100 });
    expect(await rejection(http.get(server.url, MAX))).toMatchObject({ code: 'timeout', retryable: true });
  });

  test('a body that drips for ever ends at the deadline', async () => {
    await using server = await startServer((_, response) => {
      const timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => {
        clearInterval(timer);
      });
    });
    await using http = createHttp({ ...ONCE, deadlineMs: 200 });
    expect(await rejection(http.get(server.url, MAX))).toMatchObject({ code: 'timeout', retryable: true });
  });

  test('a name that is never resolved', async () => {
    await using http = createHttp({
      ...ONCE,
      connectTimeoutMs: 100,
      resolveName: () => new Promise(() => undefined),
    });
    expect(await rejection(http.get('http://slow.example/', MAX))).toMatchObject({
      code: 'timeout',
      retryable: true,
    });
  });

  test('the deadline holds for all tries together, waits included', async () => {
    await using server = await startServer((_, response) => {
      response.writeHead(503, { 'retry-after': '3600' }).end();
    });
    await using http = createHttp({ allowPrivateHosts: true, attempts: 5, deadlineMs: 5_000 });
    const error = await rejection(http.get(server.url, MAX));
    expect(error).toMatchObject({ code: 'http_503', retryable: true, retryAfterMs: 3_600_000 });
    expect(server.requests).toHaveLength(1);
  });
});

describe('connections that fail', () => {
  test('cut before and within the answer', async () => {
    await using server = await startServer((request, response) => {
      if (request.url === '/body') {
        response.writeHead(200, { 'content-length': '100' });
        response.write('x');
      }
      setTimeout(() => request.socket.destroy(), 20);
    });
    await using http = createHttp(ONCE);
    for (const path of ['/headers', '/body']) {
      expect(await rejection(http.get(server.url + path, MAX))).toMatchObject({
        code: 'network',
        retryable: true,
      });
    }
  });

  test('an answer that is no HTTP', async () => {
    await using server = await startServer((request) => {
      request.socket.end('SSH-2.0-OpenSSH_9.2\r\n');
    });
    await using http = createHttp(ONCE);
    expect(await rejection(http.get(server.url, MAX))).toMatchObject({ code: 'network' });
  });

  test('nobody listens, and a name that does not exist', async () => {
    const server = await startServer(() => undefined);
    await server[Symbol.asyncDispose]();
    const resolveName = () =>
      Promise.reject(Object.assign(new Error('secret detail'), { code: 'ENOTFOUND' }));
    await using http = createHttp({ ...ONCE, resolveName });
    expect(await rejection(http.get(server.url, MAX))).toMatchObject({ code: 'network', retryable: true });
    const error = await rejection(http.get('http://nowhere.example/a', MAX));
    expect(error).toMatchObject({ code: 'network', retryable: true });
    expect(error.message).toBe('GET http://nowhere.example/a failed (ENOTFOUND)');
  });
});

describe('trying again', () => {
  test('what may pass is tried three times in all', async () => {
    const fail = inTurn(
      (response) => response.writeHead(500).end(),
      (_, request) => request.socket.destroy(),
      (response) => response.end('at last'),
    );
    await using server = await startServer(fail);
    await using http = createHttp({ allowPrivateHosts: true });
    expect(Buffer.from((await http.get(server.url, MAX)).body).toString()).toBe('at last');
    expect(server.requests).toHaveLength(3);
  });

  test('then the last error is given', async () => {
    await using server = await startServer((_, response) => response.writeHead(502).end());
    await using http = createHttp({ allowPrivateHosts: true });
    expect(await rejection(http.get(server.url, MAX))).toMatchObject({
      code: 'http_502',
      status: 502,
      retryable: true,
    });
    expect(server.requests).toHaveLength(3);
  });

  test.each([400, 401, 403, 404, 410, 418, 501])('status %i is final', async (status) => {
    await using server = await startServer((_, response) => response.writeHead(status).end('a page'));
    await using http = createHttp({ allowPrivateHosts: true });
    const error = await rejection(http.get(server.url, MAX));
    expect(error).toMatchObject({ code: `http_${String(status)}`, status, retryable: false });
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    ['seconds', () => '1'],
    // A date counts whole seconds: two from now are more than one, whatever the clock says.
    ['a date', () => new Date(Date.now() + 2_000).toUTCString()],
  ])('a 429 is not asked again before its Retry-After, in %s', async (_, retryAfter) => {
    const times: number[] = [];
    await using server = await startServer(
      inTurn(
        (response) => {
          times.push(performance.now());
          response.writeHead(429, { 'retry-after': retryAfter() }).end();
        },
        (response) => {
          times.push(performance.now());
          response.end('x');
        },
      ),
    );
    await using http = createHttp({ allowPrivateHosts: true });
    await http.get(server.url, MAX);
    const [first = 0, second = 0] = times;
    // The one bound that is promised: never sooner. (10 ms: timers may fire a little early.)
    expect(second - first).toBeGreaterThan(990);
  });
});

describe('an abort', () => {
  const reason = new Error('the page pressed cancel');

  test('before anything is sent', async () => {
    await using server = await startServer((_, response) => response.end());
    await using http = createHttp(ONCE);
    expect(await rejection(http.get(server.url, { ...MAX, signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(server.requests).toHaveLength(0);
  });

  test.each([
    ['headers', () => undefined],
    [
      'the body',
      (_: unknown, response: { write(text: string): void }) => {
        response.write('x');
      },
    ],
  ] as const)('while waiting for %s', async (_, listener) => {
    const stop = new AbortController();
    await using server = await startServer((request, response) => {
      listener(request, response);
      setTimeout(() => {
        stop.abort(reason);
      }, 20);
    });
    await using http = createHttp({ allowPrivateHosts: true });
    expect(await rejection(http.get(server.url, { ...MAX, signal: stop.signal }))).toBe(reason);
    expect(server.requests).toHaveLength(1);
  });

  test('while waiting to try again', async () => {
    const stop = new AbortController();
    await using server = await startServer((_, response) => {
      response.writeHead(503, { 'retry-after': '30' }).end();
      setTimeout(() => {
        stop.abort(reason);
      }, 50);
    });
    await using http = createHttp({ allowPrivateHosts: true });
    expect(await rejection(http.get(server.url, { ...MAX, signal: stop.signal }))).toBe(reason);
  });
});

test('an error shows neither query nor user nor password, whatever went wrong', async () => {
  await using server = await startServer((request, response) => {
    if (request.url?.startsWith('/cut') === true) request.socket.destroy();
    else if (request.url?.startsWith('/loop') === true)
      response.writeHead(302, { location: request.url }).end();
    else if (request.url?.startsWith('/large') === true) response.end(Buffer.alloc(2_000));
    else response.writeHead(404).end();
  });
  await using http = createHttp(ONCE);
  await using careful = createHttp({ attempts: 1 });
  const secret = (path: string) => `${server.url.replace('//', '//me:hunter2@')}${path}?sig=hunter2#hunter2`;
  for (const path of ['/cut', '/loop', '/large', '/404']) {
    const error = await rejection(http.get(secret(path), { maxBytes: 1_000 }));
    expect(error.message).not.toContain('hunter2');
    expect(error.message).toContain(`${server.url}${path}`);
  }
  expect((await rejection(careful.get(secret('/'), MAX))).message).not.toContain('hunter2');
  expect((await rejection(http.get('http://a:hunter2@[bad/?hunter2', MAX))).message).not.toContain('hunter2');
});
