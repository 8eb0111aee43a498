import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { gate, startEndpoint, type TestEndpoint } from './support.ts';

describe('requests', () => {
  let endpoint: TestEndpoint;
  beforeAll(async () => {
    endpoint = await startEndpoint(({ input }) => input, {
      limits: { maxAsyncBytes: 1_000, maxSyncBytes: 2_000 },
    });
  });
  afterAll(async () => {
    await endpoint[Symbol.asyncDispose]();
  });

  test.each(['', '/v2/any-endpoint'])(
    'under "%s", GET and POST where the service takes both',
    async (prefix) => {
      const { body } = await endpoint.call('POST', `${prefix}/run`, { input: { a: null } });
      const id = String(body.id);
      for (const method of ['GET', 'POST'] as const) {
        const done = { status: 200, body: expect.objectContaining({ id, status: 'COMPLETED' }) };
        expect(await endpoint.call(method, `${prefix}/status-sync/${id}?wait=5000`)).toEqual(done);
        expect(await endpoint.call(method, `${prefix}/status/${id}`)).toEqual(done);
        expect(await endpoint.call(method, `${prefix}/stream/${id}`)).toEqual(done);
      }
      expect((await endpoint.call('POST', `${prefix}/runsync`, { input: { a: null } })).body.output).toEqual({
        a: null,
      });
      expect((await endpoint.call('GET', `${prefix}/health`)).status).toBe(200);
      expect((await endpoint.call('POST', `${prefix}/purge-queue`)).status).toBe(200);
    },
  );

  test.each<[string, 'GET' | 'POST', string, unknown, number, RegExp]>([
    ['an unknown id', 'GET', '/status/none', undefined, 404, /no job with this id/],
    ['an unknown id to cancel', 'POST', '/cancel/none', undefined, 404, /no job with this id/],
    [
      'an unknown address',
      'GET',
      '/v2/x/nothing',
      undefined,
      404,
      /GET \/v2\/x\/nothing is no address.*runsync/,
    ],
    ['the wrong method', 'GET', '/run', undefined, 404, /GET \/run is no address/],
    [
      'no JSON',
      'POST',
      '/run',
      '{"input": hidden4711',
      400,
      /expected JSON, found a string of 20 characters/,
    ],
    ['no object', 'POST', '/run', [1], 400, /expected \{"input": \.\.\.\}, found no input/],
    ['no input', 'POST', '/runsync', { inputs: {} }, 400, /found no input/],
    ['an input of null', 'POST', '/run', { input: null }, 400, /found no input/],
    ['nothing', 'POST', '/run', undefined, 400, /expected JSON/],
    [
      'a webhook that is no address',
      'POST',
      '/run',
      { input: 1, webhook: 'ftp://x' },
      400,
      /webhook: expected an http/,
    ],
    [
      'a policy that is no number',
      'POST',
      '/run',
      { input: 1, policy: { executionTimeout: 'long' } },
      400,
      /policy\.executionTimeout: expected milliseconds/,
    ],
    ['a ttl beyond a week', 'POST', '/run', { input: 1, policy: { ttl: 7e8 } }, 400, /policy\.ttl.*7 days/],
    [
      'a wait that is no number',
      'POST',
      '/runsync?wait=long',
      { input: 1 },
      400,
      /wait: expected milliseconds/,
    ],
    ['more than /run takes', 'POST', '/run', { input: 'x'.repeat(1_000) }, 413, /larger than the 1000 bytes/],
    [
      'more than /runsync takes',
      'POST',
      '/runsync',
      { input: 'x'.repeat(2_000) },
      413,
      /larger than the 2000/,
    ],
  ])('%s', async (_, method, path, body, status, message) => {
    const answer = await endpoint.call(method, path, body);
    expect(answer).toEqual({ status, body: { error: expect.stringMatching(message) } });
    expect(JSON.stringify(answer)).not.toContain('hidden4711');
  });

  test('more than is allowed, of which nobody said how much it is', async () => {
    const parts = Array.from({ length: 5 }, () => 'x'.repeat(500));
    const response = await fetch(`${endpoint.url}/run`, {
      method: 'POST',
      body: ReadableStream.from(parts).pipeThrough(new TextEncoderStream()),
      duplex: 'half',
    });
    expect(response.status).toBe(413);
    await response.text();
  });

  test('what /runsync takes is more than what /run takes', async () => {
    const { body } = await endpoint.call('POST', '/runsync', { input: 'x'.repeat(1_500) });
    expect(body).toMatchObject({ status: 'COMPLETED' });
  });

  test('keys that this endpoint does not know are let through', async () => {
    const extra = { s3Config: { accessId: 'a' }, webhookV2: 'x', policy: { lowPriority: true } };
    expect((await endpoint.call('POST', '/run', { input: 1, ...extra })).status).toBe(200);
  });
});

describe('waiting', () => {
  let endpoint: TestEndpoint;
  afterEach(async () => {
    await endpoint[Symbol.asyncDispose]();
  });

  test('runsync and status-sync answer after `wait` with the state that is', async () => {
    const release = gate();
    endpoint = await startEndpoint(() => release.opened.then(() => 'late'));
    const { body } = await endpoint.call('POST', '/runsync?wait=30', { input: 1 });
    const id = String(body.id);
    expect(body.status).toMatch(/IN_QUEUE|IN_PROGRESS/);
    expect((await endpoint.call('GET', `/status-sync/${id}?wait=1`)).body).toMatchObject({
      status: 'IN_PROGRESS',
    });
    release.open();
    expect(await endpoint.settled(id)).toMatchObject({ status: 'COMPLETED', output: 'late' });
  });
});
