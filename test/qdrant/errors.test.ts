import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';

import { describe, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { createVectorStore, type VectorStoreOptions } from '../../src/qdrant/store.ts';

const API_KEY = 'a-very-secret-key';
const POINT = { id: 1, vector: Float32Array.of(1, 0), payload: {} };

interface Served extends AsyncDisposable {
  url: string;
  requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string; at: number }[];
}

/** A server that says what the test wants, and remembers what it was asked. */
async function serve(
  answer: (turn: number, response: ServerResponse, request: IncomingMessage) => void,
): Promise<Served> {
  const requests: Served['requests'] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      requests.push({ method, url, headers, body, at: performance.now() });
      answer(requests.length, response, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    requests,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

const ok = (result: unknown) => ({ result, status: 'ok', time: 0.001 });
const failure = (error: string) => ({ status: { error }, time: 0 });

/** Patient for a few tries only: the first comes again after an eighth to a quarter of a second. */
function storeAt(url: string, options: Partial<VectorStoreOptions> = {}) {
  return createVectorStore({ url, apiKey: API_KEY, patienceMs: 2_000, ...options });
}

describe('answers become errors with a code', () => {
  const CASES = [
    [400, 'qdrant_rejected', false],
    [401, 'qdrant_unauthorized', false],
    [403, 'qdrant_unauthorized', false],
    [404, 'qdrant_not_found', false],
    [408, 'qdrant_timeout', true],
    [413, 'qdrant_rejected', false],
    [422, 'qdrant_rejected', false],
    [429, 'qdrant_unavailable', true],
    [500, 'qdrant_unavailable', true],
    [503, 'qdrant_unavailable', true],
  ] as const;

  test.each(CASES)('%i is %s', async (status, code, retryable) => {
    await using server = await serve((_, response) => {
      reply(response, status, failure(`the reason, said with ${API_KEY}`));
    });
    const store = storeAt(server.url, { patienceMs: 1_000 });
    const error: unknown = await store.count('things').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'StoreError', store: 'qdrant', code, retryable, status });
    expect(error).toHaveProperty('message', expect.stringContaining('"things"'));
    expect(error).toHaveProperty('message', expect.stringContaining('the reason'));
    expect(server.requests.length > 1).toBe(retryable);
    expect(server.requests[0]?.headers['api-key']).toBe(API_KEY);
    expect(everythingIn(error)).not.toContain(API_KEY);
  });

  test('only 404 means that a collection is absent', async () => {
    for (const [status] of CASES.filter(([code]) => code !== 404)) {
      await using server = await serve((_, response) => {
        reply(response, status, failure('no'));
      });
      const store = storeAt(server.url, { patienceMs: 0 });
      await expect(store.inspect('things')).rejects.toMatchObject({ status });
      await expect(store.ensure('things', 2)).rejects.toMatchObject({ status });
      expect(server.requests.map((r) => r.method)).toEqual(['GET', 'GET']);
    }
  });

  test('nobody listening is unreachable', async () => {
    const server = await serve(() => undefined);
    await server[Symbol.asyncDispose]();
    const store = storeAt(server.url, { patienceMs: 300 });
    await expect(store.inspect('things')).rejects.toMatchObject({
      code: 'qdrant_unreachable',
      retryable: true,
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('silence is a time-out, and the time is for one try', async () => {
    await using server = await serve((turn, response) => {
      if (turn > 1) reply(response, 200, ok({ count: 3 }));
    });
    const patient = storeAt(server.url, { timeoutMs: 100 });
    expect(await patient.count('things')).toBe(3);
    await using silent = await serve(() => undefined);
    await expect(storeAt(silent.url, { timeoutMs: 50, patienceMs: 0 }).count('things')).rejects.toMatchObject(
      { code: 'qdrant_timeout', retryable: true },
    );
  });

  test('an answer that is not Qdrant’s is no result', async () => {
    for (const body of ['<html>welcome</html>', '{"hello": 1}', '{"result": {"cou', 'null']) {
      await using server = await serve((_, response) => {
        reply(response, 200, body);
      });
      const store = storeAt(server.url, { patienceMs: 300 });
      await expect(store.count('things')).rejects.toMatchObject({ code: 'qdrant_unavailable', status: 200 });
    }
  });
});

test.each([
  ['Bad request: Limit exceeded 256 > 100 for "upsert limit". Help: Reduce it.', 'qdrant_over_limit'],
  ['Bad request: Exact search disabled!. Help: Set exact=false.', 'qdrant_exact_disabled'],
  ['Wrong input: Vector dimension error: expected dim: 4, got 2', 'qdrant_rejected'],
  [
    'Bad request: Index required but not found for "model" of one of the following types: [keyword].',
    'qdrant_index_required',
  ],
  ['Bad request: Max vector storage size limit of 512MB reached!', 'qdrant_full'],
  ['Bad request: Max payload storage size limit of 12.5MB reached!', 'qdrant_full'],
  ['Bad request: Max points count limit of 1000 reached!', 'qdrant_full'],
  [
    'Bad request: Resident memory usage is at 91% of total memory, exceeding the configured limit of 90%.',
    'qdrant_full',
  ],
])('what strict mode says is told apart: %s', async (words, code) => {
  await using server = await serve((_, response) => {
    reply(response, 400, failure(words));
  });
  await expect(storeAt(server.url).upsert('things', [POINT])).rejects.toMatchObject({ code, status: 400 });
  expect(server.requests).toHaveLength(1);
});

describe('trying again', () => {
  test('a connection that is cut, a 503 and a 429 are tried again until an answer comes', async () => {
    await using server = await serve((turn, response) => {
      if (turn === 1) response.destroy();
      else if (turn === 2) reply(response, 503, 'overloaded');
      else if (turn === 3) reply(response, 429, failure('slow down'));
      else reply(response, 200, ok({ operation_id: 1, status: 'completed' }));
    });
    await storeAt(server.url).upsert('things', [POINT]);
    expect(server.requests).toHaveLength(4);
    expect(new Set(server.requests.map((r) => r.body)).size).toBe(1);
    expect(server.requests[0]).toMatchObject({ method: 'PUT', url: '/collections/things/points?wait=true' });
  });

  test('a store that is away for longer than a few tries', async () => {
    await using server = await serve((turn, response) => {
      if (turn < 5) response.destroy();
      else reply(response, 200, ok({ operation_id: 1, status: 'completed' }));
    });
    await createVectorStore({ url: server.url }).upsert('things', [POINT]);
    expect(server.requests).toHaveLength(5);
  });

  test.each([
    ['seconds', '1', 1_000],
    ['more than one digit', '12', 12_000],
    ['a date', new Date(Date.now() + 3_600_000).toUTCString(), 3_500_000],
  ])('Retry-After is read whole: %s', async (_, header, atLeastMs) => {
    await using server = await serve((__, response) => {
      reply(response, 429, failure('slow down'), { 'Retry-After': header });
    });
    const error: unknown = await storeAt(server.url, { patienceMs: 0 })
      .count('things')
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'qdrant_unavailable', status: 429, retryable: true });
    const { retryAfterMs } = error as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThanOrEqual(atLeastMs);
    expect(retryAfterMs).toBeLessThanOrEqual(Math.max(atLeastMs, 3_600_000));
  });

  test('Retry-After of one answer is not taken for another’s', async () => {
    await using server = await serve((_, response, request) => {
      const slow = request.url?.includes('slow') === true;
      reply(response, 429, failure('slow down'), { 'Retry-After': slow ? '7' : '3' });
    });
    const store = storeAt(server.url, { patienceMs: 0 });
    const errors = await Promise.all(
      ['slow', 'fast', 'slow', 'fast'].map((c) => store.count(c).catch((thrown: unknown) => thrown)),
    );
    expect(errors.map((e) => (e as { retryAfterMs: number }).retryAfterMs)).toEqual([
      7_000, 3_000, 7_000, 3_000,
    ]);
  });

  test('an upsert that is only acknowledged is not believed', async () => {
    await using server = await serve((turn, response) => {
      reply(response, 200, ok({ operation_id: turn, status: turn < 3 ? 'acknowledged' : 'completed' }));
    });
    await storeAt(server.url).upsert('things', [POINT]);
    expect(server.requests).toHaveLength(3);
    await using never = await serve((_, response) => {
      reply(response, 200, ok({ operation_id: 1, status: 'wait_timeout' }));
    });
    await expect(storeAt(never.url, { patienceMs: 300 }).upsert('things', [POINT])).rejects.toMatchObject({
      code: 'qdrant_unavailable',
    });
  });

  test('a creation that got through unheard counts as there', async () => {
    const info = ok({ config: { params: { vectors: { size: 2, distance: 'Cosine' } } }, payload_schema: {} });
    let exists = false;
    await using server = await serve((_, response, request) => {
      if (request.method === 'GET') reply(response, exists ? 200 : 404, exists ? info : failure('Not found'));
      else if (request.url?.includes('/index') === true) {
        reply(response, 200, ok({ operation_id: 1, status: 'completed' }));
      } else if (exists) reply(response, 409, failure('already exists'));
      else {
        exists = true;
        response.destroy();
      }
    });
    expect(await storeAt(server.url).ensure('things', 2)).toBe('existed');
    expect(server.requests.filter((r) => r.url.includes('/index'))).toHaveLength(6);
  });
});

test('no error holds the key, wherever a server or the client put it', async () => {
  const apiKey = 'p4ss/with+odd=letters!';
  for (const answer of [
    // Across the end of what is shown.
    (response: ServerResponse) => reply(response, 400, failure(`${'x'.repeat(490)} ${apiKey}`)),
    (response: ServerResponse) => reply(response, 400, `you said ${encodeURIComponent(apiKey)}`),
    // The client's own error quotes what it could not read.
    (response: ServerResponse) => reply(response, 200, `${apiKey} is no JSON`),
    (response: ServerResponse) => void response.destroy(new Error(apiKey)),
  ]) {
    await using server = await serve((_, response) => answer(response));
    const store = createVectorStore({ url: server.url, apiKey, patienceMs: 0 });
    const error = await store.count('things').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'StoreError' });
    expect(inspect(error, { depth: 9 })).not.toMatch(/p4ss|odd%3Dletters/);
  }
});

describe('stopping', () => {
  test('a signal ends a call at once, with its reason, and the request with it', async () => {
    const { promise: asked, resolve } = Promise.withResolvers<IncomingMessage>();
    await using server = await serve((_, __, request) => {
      resolve(request);
    });
    const stop = new AbortController();
    const reason = new StoppedError('cancelled', 'the job was cancelled');
    const counting = storeAt(server.url).count('things', undefined, stop.signal);
    const request = await asked;
    const closed = new Promise((done) => request.socket.once('close', done));
    stop.abort(reason);
    await expect(counting).rejects.toBe(reason);
    await closed;
    expect(server.requests).toHaveLength(1);
  });

  test('a signal ends the wait between two tries', async () => {
    await using server = await serve((_, response) => {
      reply(response, 503, failure('later'), { 'Retry-After': '600' });
    });
    const reason = new StoppedError('shutdown', 'stop');
    const stop = new AbortController();
    const store = storeAt(server.url, {
      patienceMs: 120_000,
      onRetry: () => {
        stop.abort(reason);
      },
    });
    await expect(store.upsert('things', [POINT], stop.signal)).rejects.toBe(reason);
    expect(server.requests).toHaveLength(1);
  });

  test('an aborted signal lets nothing be sent', async () => {
    await using server = await serve(() => undefined);
    const store = storeAt(server.url);
    const reason = new StoppedError('cancelled', 'stop');
    const signal = AbortSignal.abort(reason);
    await expect(store.inspect('things', signal)).rejects.toBe(reason);
    await expect(store.ensure('things', 2, signal)).rejects.toBe(reason);
    await expect(store.upsert('things', [POINT], signal)).rejects.toBe(reason);
    await expect(store.payloads('things', [1], ['id'], signal)).rejects.toBe(reason);
    await expect(store.search('things', POINT.vector, { limit: 1, signal })).rejects.toBe(reason);
    await expect(store.scroll('things', { keys: [], signal }).next()).rejects.toBe(reason);
    expect(server.requests).toHaveLength(0);
  });
});

/** Message, stack, and every cause, as a log would print them. */
function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = Object.entries(error).map(([key, value]) => `${key}=${String(value)}`);
  return [
    error.message,
    error.stack ?? '',
    ...own,
    error.cause === undefined ? '' : everythingIn(error.cause),
  ].join('\n');
}
