import { gzipSync } from 'node:zlib';

import { describe, expect, test } from '@jest/globals';

import { createHttp } from '../../src/http/http.ts';
import { rejection, startServer } from './support.ts';

const MAX = { maxBytes: 1_000_000 };
const LOCAL = { allowPrivateHosts: true };

describe('a plain request', () => {
  test('gives the body, the status, the headers and the address', async () => {
    await using server = await startServer((request, response) => {
      response.writeHead(200, { 'content-type': 'image/png', 'x-two': ['a', 'b'] });
      response.end(
        `asked for ${String(request.headers['accept-encoding'])} as ${String(request.headers['user-agent'])}`,
      );
    });
    await using http = createHttp({ ...LOCAL, userAgent: 'tester/1' });
    const answer = await http.get(`${server.url}/a/b.png?token=1#x`, MAX);
    expect(Buffer.from(answer.body).toString()).toBe('asked for identity as tester/1');
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'image/png', 'x-two': 'a, b' } });
    expect(answer.url).toBe(`${server.url}/a/b.png?token=1#x`);
    expect(server.requests).toEqual(['/a/b.png?token=1']);
  });

  test('sends the headers it is given, and user and password of the address', async () => {
    await using server = await startServer((request, response) => {
      response.end(JSON.stringify([request.headers.authorization, request.headers.range]));
    });
    await using http = createHttp(LOCAL);
    const address = server.url.replace('//', '//a%20b:c%3Ad@');
    const { body } = await http.get(address, { ...MAX, headers: { Range: 'bytes=0-9' } });
    const basic = `Basic ${Buffer.from('a b:c:d').toString('base64')}`;
    expect(JSON.parse(Buffer.from(body).toString())).toEqual([basic, 'bytes=0-9']);
  });

  test.each([[''], ['no url'], ['//host/a'], ['ftp://host/a'], ['file:///etc/passwd'], ['http://']])(
    'refuses the address "%s"',
    async (address) => {
      await using http = createHttp(LOCAL);
      expect(await rejection(http.get(address, MAX))).toMatchObject({
        code: 'invalid_url',
        retryable: false,
      });
    },
  );

  test('unpacks what a store sends packed all the same, within the limit', async () => {
    await using server = await startServer((request, response) => {
      response.setHeader('content-encoding', request.url === '/odd' ? 'sdch' : 'gzip');
      response.end(gzipSync(Buffer.alloc(request.url === '/bomb' ? 5_000_000 : 1_000, 7)));
    });
    await using http = createHttp(LOCAL);
    const { body } = await http.get(`${server.url}/`, MAX);
    expect(body).toEqual(new Uint8Array(1_000).fill(7));
    expect(await rejection(http.get(`${server.url}/bomb`, MAX))).toMatchObject({ code: 'too_large' });
    expect(await rejection(http.get(`${server.url}/odd`, MAX))).toMatchObject({
      code: 'unsupported_encoding',
    });
  });
});

describe('the size limit', () => {
  test('lets exactly the limit through', async () => {
    await using server = await startServer((_, response) => {
      response.end(Buffer.alloc(1_000));
    });
    await using http = createHttp(LOCAL);
    expect((await http.get(server.url, { maxBytes: 1_000 })).body.byteLength).toBe(1_000);
    expect(await rejection(http.get(server.url, { maxBytes: 999 }))).toMatchObject({
      code: 'too_large',
      retryable: false,
    });
  });

  test('refuses an announced length before the body comes', async () => {
    await using server = await startServer((_, response) => {
      // Headers only: were the body waited for, this would be a time-out.
      response.writeHead(200, { 'content-length': '50000000' });
      response.write('x');
    });
    await using http = createHttp({ ...LOCAL, bodyTimeoutMs: 20_000, attempts: 1 });
    expect(await rejection(http.get(server.url, MAX))).toMatchObject({ code: 'too_large' });
  });

  test('cuts off an endless body', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<boolean>();
    await using server = await startServer((_, response) => {
      const block = Buffer.alloc(65_536);
      const more = (): void => {
        while (response.write(block));
      };
      response.on('drain', more).on('close', () => {
        resolve(true);
      });
      more();
    });
    await using http = createHttp(LOCAL);
    expect(await rejection(http.get(server.url, MAX))).toMatchObject({ code: 'too_large' });
    expect(await closed).toBe(true);
    expect(server.requests).toHaveLength(1);
  });
});

describe('connections', () => {
  test('one is enough for requests one after another, failed ones included', async () => {
    await using server = await startServer((request, response) => {
      response.statusCode = request.url === '/404' ? 404 : 200;
      response.end('short');
    });
    await using http = createHttp(LOCAL);
    for (let i = 0; i < 10; i += 1) {
      await http.get(`${server.url}/${String(i)}`, MAX);
      await rejection(http.get(`${server.url}/404`, MAX));
    }
    expect(server.requests).toHaveLength(20);
    expect(server.sockets).toBe(1);
  });

  test('are bounded for each host and in all', async () => {
    let here = 0;
    let most = 0;
    const perServer = [0, 0];
    const atWork = [0, 0];
    const listen = (index: 0 | 1) =>
      startServer((_, response) => {
        here += 1;
        atWork[index] = (atWork[index] ?? 0) + 1;
        most = Math.max(most, here);
        perServer[index] = Math.max(perServer[index] ?? 0, atWork[index]);
        setTimeout(() => {
          here -= 1;
          atWork[index] = (atWork[index] ?? 0) - 1;
          response.end('x');
        }, 10);
      });
    await using first = await listen(0);
    await using second = await listen(1);
    await using http = createHttp({ ...LOCAL, connectionsPerHost: 3, concurrency: 5 });
    const urls = Array.from({ length: 60 }, (_, i) => `${i % 2 === 0 ? first.url : second.url}/${String(i)}`);
    await Promise.all(urls.map((url) => http.get(url, MAX)));
    expect(most).toBe(5);
    expect(perServer).toEqual([3, 3]);
    expect([first.sockets, second.sockets]).toEqual([3, 3]);
  });

  test('a host that never answers does not hold up another', async () => {
    await using stuck = await startServer(() => undefined);
    await using alive = await startServer((_, response) => {
      response.end('x');
    });
    await using http = createHttp({ ...LOCAL, connectionsPerHost: 2, concurrency: 4 });
    const stop = new AbortController();
    const waiting = Array.from({ length: 10 }, () =>
      rejection(http.get(stuck.url, { ...MAX, signal: stop.signal })),
    );
    const answers = await Promise.all(Array.from({ length: 10 }, () => http.get(alive.url, MAX)));
    expect(answers).toHaveLength(10);
    stop.abort(new Error('enough'));
    for (const error of await Promise.all(waiting)) expect(error.message).toBe('enough');
  });

  test('closing ends what is under way', async () => {
    await using server = await startServer(() => undefined);
    const http = createHttp(LOCAL);
    const error = rejection(http.get(server.url, MAX));
    while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await http.close();
    expect(await error).toMatchObject({ code: 'network', retryable: false });
    expect(await rejection(http.get(server.url, MAX))).toMatchObject({ code: 'network', retryable: false });
  });
});
