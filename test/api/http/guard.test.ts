import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { createCallers } from '../../../src/api/http/callers.ts';
import { createRateLimit } from '../../../src/api/http/rate-limit.ts';
import { operationsOf } from '../../support/api/openapi-client.ts';
import { scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { CALLER_KEY, startTestApi, type TestApi } from '../../support/api/test-api.ts';
import { testQdrant, type TestQdrant } from '../../support/qdrant.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

let supabase: TestSupabase;
let qdrant: TestQdrant;
let runpod: ScriptedRunPod;
let api: TestApi;

beforeAll(async () => {
  [supabase, qdrant, runpod] = await Promise.all([testSupabase(), testQdrant(), scriptedRunPod()]);
});
afterAll(async () => {
  await Promise.all([supabase.close(), qdrant.close(), runpod[Symbol.asyncDispose]()]);
});
const start = (settings: Record<string, string> = {}) =>
  startTestApi({ supabase, qdrant, runpod: runpod.url, settings });
beforeEach(async () => {
  api = await start();
});
afterEach(async () => {
  await api.close();
});

const json = (body: string): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body,
});

/** Every one is RFC 9457, and has the request's id. */
async function problemOf(answer: Promise<Response>): Promise<Record<string, unknown>> {
  const response = await answer;
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const problem = (await response.json()) as Record<string, unknown>;
  const { status, code } = problem;
  expect(status).toBe(response.status);
  expect(problem).toEqual({
    type: `urn:gpu-handlers:problem:${String(code)}`,
    title: expect.any(String),
    status,
    detail: expect.any(String),
    code,
    request_id: response.headers.get('x-request-id'),
    ...(code === 'invalid_input' && { issues: expect.any(Array) }),
  });
  return problem;
}

describe('keys', () => {
  test('are asked for by every route that is not open', async () => {
    for (const { method, path, isOpen } of operationsOf(api.document)) {
      const address = path.replace(/\{\w+\}/g, '839c284e-5ace-5b18-a087-25ceb89add55');
      const response = await api.fetch(address, { method, headers: { authorization: '' } });
      if (isOpen) continue;
      expect([path, response.status, response.headers.get('www-authenticate')]).toEqual([
        path,
        401,
        'Bearer',
      ]);
    }
  });

  test.each([
    '',
    'Bearer',
    'Bearer wrong',
    `Basic ${CALLER_KEY}`,
    `Bearer ${CALLER_KEY}x`,
    `Bearer ${CALLER_KEY.slice(1)}`,
  ])('%p opens nothing', async (authorization) => {
    expect(await problemOf(api.fetch('/v1/jobs', { headers: { authorization } }))).toMatchObject({
      status: 401,
    });
  });

  test.each([`Bearer ${CALLER_KEY}`, `bearer ${CALLER_KEY}`, 'Bearer another-key-0123456789'])(
    '%s opens',
    async (authorization) => {
      expect((await api.fetch('/v1/jobs', { headers: { authorization } })).status).toBe(200);
    },
  );

  test('are in no log line; their fingerprints are', async () => {
    await api.fetch('/v1/jobs');
    expect(api.logged()).not.toContain(CALLER_KEY);
    const id = createCallers([CALLER_KEY]).of(`Bearer ${CALLER_KEY}`)?.id;
    expect(api.logged()).toContain(`"caller":"${String(id)}"`);
  });
});

describe('requests', () => {
  test('have an id: the client’s, where it is one', async () => {
    const idOf = async (given: string): Promise<string | null> =>
      (await api.fetch('/healthz', { headers: { 'x-request-id': given } })).headers.get('x-request-id');
    expect(await idOf('mine-7')).toBe('mine-7');
    for (const odd of ['', 'a b', 'x'.repeat(65), '"']) expect(await idOf(odd)).toMatch(/^[\da-f]{8}-/);
    expect(api.logged()).toContain('"requestId":"mine-7"');
  });

  test('that are no JSON, or of another type', async () => {
    expect(await problemOf(api.fetch('/v1/jobs/matching', json('{')))).toMatchObject({
      status: 400,
      code: 'bad_request',
    });
    expect(await problemOf(api.fetch('/v1/jobs/matching', json('')))).toMatchObject({ status: 400 });
    const text = { method: 'POST', body: '{}' };
    expect(await problemOf(api.fetch('/v1/jobs/matching', text))).toMatchObject({
      status: 415,
      code: 'unsupported_type',
    });
    const form = { method: 'POST', body: new FormData() };
    expect(await problemOf(api.fetch('/v1/search/image?collection=a', form))).toMatchObject({ status: 415 });
  });

  test('that are too large are refused before they are read, and so are those of strangers', async () => {
    const large = json(JSON.stringify({ product_ids: ['x'.repeat(11 * 2 ** 20)] }));
    expect(await problemOf(api.fetch('/v1/jobs/matching', large))).toMatchObject({
      status: 413,
      code: 'body_too_large',
    });
    // Without a length: only what is read can tell.
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(2 ** 20)),
    });
    const headers = { 'content-type': 'application/json', authorization: '' };
    const stranger = { method: 'POST', headers, body: stream, duplex: 'half' } as RequestInit;
    expect((await api.fetch('/v1/jobs/matching', stranger)).status).toBe(401);
  });

  test('to addresses and by methods that there are not', async () => {
    expect(await problemOf(api.fetch('/v2/nothing'))).toMatchObject({ status: 404, code: 'not_found' });
    const wrong = api.fetch('/v1/jobs/matching', { method: 'DELETE' });
    expect((await wrong).headers.get('allow')).toBe('POST');
    expect((await wrong).status).toBe(405);
  });

  test('with parameters that there are not, or wrong ones', async () => {
    expect(await problemOf(api.fetch('/v1/jobs?colour=red'))).toMatchObject({
      status: 422,
      issues: [{ key: 'colour' }],
    });
    expect(await problemOf(api.fetch('/v1/jobs?limit=0'))).toMatchObject({ issues: [{ key: 'limit' }] });
    expect(await problemOf(api.fetch('/v1/jobs?cursor=eyJhIjoxfQ'))).toMatchObject({
      issues: [{ key: 'cursor' }],
    });
    expect(await problemOf(api.fetch('/v1/jobs/7'))).toMatchObject({ issues: [{ key: 'id' }] });
  });
});

describe('the rate', () => {
  test('is limited for each key, and says when it goes on', async () => {
    await api.close();
    api = await start({ API_RATE_PER_MINUTE: '3' });
    const ask = (authorization: string) => api.fetch('/v1/jobs', { headers: { authorization } });
    const answers = [];
    for (let i = 0; i < 4; i += 1) answers.push(await ask(`Bearer ${CALLER_KEY}`));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(answers.map(({ headers }) => headers.get('ratelimit-remaining'))).toEqual(['2', '1', '0', '0']);
    expect(Number(answers[3]?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask('Bearer another-key-0123456789')).status).toBe(200);
    // Guessing is limited too, by where it comes from.
    const guesses = [];
    for (let i = 0; i < 4; i += 1) guesses.push((await ask(`Bearer guess-${i}`)).status);
    expect(guesses.at(-1)).toBe(429);
    // Whoever watches over the process is never told that it asks too often.
    expect((await api.fetch('/healthz', { headers: { authorization: '' } })).status).toBe(200);
    expect((await api.fetch('/readyz', { headers: { authorization: '' } })).status).toBe(200);
  });

  test('refills evenly, and forgets whom it has not heard of for longest', () => {
    let now = 0;
    const rate = createRateLimit(60, () => now);
    for (let i = 0; i < 60; i += 1) expect(rate.take('a').allowed).toBe(true);
    expect(rate.take('a')).toEqual({ allowed: false, remaining: 0, resetSeconds: 1 });
    now += 1_000;
    expect(rate.take('a').allowed).toBe(true);
    expect(rate.take('a').allowed).toBe(false);
    now += 600_000;
    expect(rate.take('a')).toMatchObject({ allowed: true, remaining: 59 });
    for (let i = 0; i < 10_000; i += 1) rate.take(`other ${i}`);
    expect(rate.take('a').remaining).toBe(59);
  });
});

describe('health and readiness', () => {
  test('are told without a key', async () => {
    const bare = { headers: { authorization: '' } };
    expect((await api.fetch('/healthz', bare)).status).toBe(200);
    expect((await api.fetch('/readyz', bare)).status).toBe(200);
  });

  test('a store that is away: alive, not ready', async () => {
    await api.close();
    const away = await testQdrant();
    api = await startTestApi({ supabase, qdrant: away, runpod: runpod.url });
    await away.close();
    expect((await api.fetch('/healthz')).status).toBe(200);
    expect(await problemOf(api.fetch('/readyz'))).toMatchObject({ status: 503, code: 'qdrant_unreachable' });
  });
});

test('the document and the page are served, and load nothing from elsewhere', async () => {
  expect(api.document).toMatchObject({
    openapi: '3.1.0',
    info: { version: '1.2.3' },
    servers: [{ url: 'https://api.example.invalid/' }],
  });
  const page = await api.fetch('/docs');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  const files = await Promise.all(
    ['/docs/script.js', '/docs/style.css'].map(async (path) => (await api.fetch(path)).text()),
  );
  const html = await page.text();
  for (const path of ['/docs/script.js', '/docs/style.css']) expect(html).toContain(path);
  expect([html, ...files].join('')).not.toMatch(/https?:\/\/|@import|url\(/);
});

test('what nobody foresaw shows nothing of itself, and the log has it', async () => {
  await api.close();
  api = await startTestApi({
    supabase,
    qdrant,
    runpod: runpod.url,
    runStateless: () => Promise.reject(new TypeError('inner words')),
  });
  await qdrant.store.ensure('c', 3);
  await supabase.sql(
    `insert into embedding_models (id, name, model_type, embedding_dim) values (gen_random_uuid(), 'a', 'demo', 3)
     on conflict do nothing`,
  );
  const [model] = await supabase.sql('select id from embedding_models');
  const image = { method: 'POST', headers: { 'content-type': 'image/png' }, body: new Uint8Array([1]) };
  const problem = await problemOf(
    api.fetch(`/v1/search/image?collection=c&model_id=${String(model?.id)}`, image),
  );
  expect(problem).toMatchObject({ status: 500, code: 'internal' });
  expect(JSON.stringify(problem)).not.toContain('inner words');
  expect(api.logged()).toContain('inner words');
});
