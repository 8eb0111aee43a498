import { request } from 'node:http';

import { afterEach, describe, expect, test } from '@jest/globals';

import { startEndpoint, type TestEndpoint } from './support.ts';

let endpoint: TestEndpoint;
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
});

/** The status of GET /health with headers that fetch does not let one set. */
function health(headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(`${endpoint.url}/health`, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

test('listens on the loopback address alone', async () => {
  endpoint = await startEndpoint(() => 1);
  expect(endpoint.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
});

test('elsewhere where it is told to, and says what that means', async () => {
  endpoint = await startEndpoint(() => 1, { host: '0.0.0.0' });
  expect(endpoint.url).toMatch(/^http:\/\/0\.0\.0\.0:\d+$/);
  // Other machines know it by other names.
  expect(await health({ host: 'machine.example.invalid:8000' })).toBe(200);
  expect(await health({ origin: 'https://pages.example.invalid' })).toBe(403);
  expect(endpoint.log()).toMatch(/Anybody who reaches this address can run jobs: set LOCAL_ENDPOINT_KEY/);
});

describe('without a key', () => {
  test.each<[string, Record<string, string>, number]>([
    ['a program', {}, 200],
    ['a program that names the machine', { host: 'localhost:8000' }, 200],
    ['a page of another origin', { origin: 'https://pages.example.invalid' }, 403],
    ['a page of a file', { origin: 'null' }, 403],
    ['a page whose name leads here', { host: 'pages.example.invalid:8000' }, 403],
  ])('%s', async (_, headers, status) => {
    endpoint = await startEndpoint(() => 1);
    expect(await health(headers)).toBe(status);
  });
});

describe('with a key', () => {
  test.each<[string, Record<string, string>, number]>([
    ['nothing', {}, 401],
    ['another key', { authorization: 'Bearer another' }, 401],
    ['the beginning of it', { authorization: 'Bearer the-ke' }, 401],
    ['the key', { authorization: 'Bearer the-key' }, 200],
    ['the key alone', { authorization: 'the-key' }, 200],
    [
      'the key from a page',
      { authorization: 'Bearer the-key', origin: 'https://pages.example.invalid' },
      200,
    ],
  ])('%s', async (_, headers, status) => {
    endpoint = await startEndpoint(() => 1, { key: 'the-key' });
    expect(await health(headers)).toBe(status);
  });
});
