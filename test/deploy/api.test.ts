import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { startBench, type Bench } from './support.ts';

let bench: Bench;

beforeEach(async () => {
  bench = await startBench();
});

afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

const counted = (line: string): number =>
  bench.server.requests.filter(({ method, path }) => `${method} ${path}` === line).length;

test('a key that is refused ends it before anything is built', async () => {
  const { code, text } = await bench.deploy(['embedding'], { env: { RUNPOD_API_KEY: 'rpa_wrongwrong' } });
  expect(code).toBe(1);
  expect(text).toMatch(/GET \S+\/v2\/templates with 401: Unauthorized.*check RUNPOD_API_KEY/);
  expect(await bench.dockerCalls()).toEqual([]);
});

test('the test server is as strict as the platform: a field it does not know is refused by name', async () => {
  for (const [path, body] of [
    ['templates', { name: 'x', image: 'y', imageName: 'z' }],
    [
      'serverless',
      { name: 'x', image: 'y', type: 'QUEUE', scaling: { type: 'QUEUE_DELAY', queueDelay: 4 }, gpuIds: 'z' },
    ],
  ] as const) {
    const headers = { authorization: `Bearer ${bench.server.key}`, 'content-type': 'application/json' };
    const answer = await fetch(`${bench.server.url}/v2/${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(422);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.text()).toContain(Object.keys(body).at(-1));
  }
});

test('a problem is shown with its title, its detail and its errors', async () => {
  const errors = [{ location: 'body.gpu.pools', message: 'unknown pool' }];
  bench.server.intercept = ({ method }) =>
    method === 'POST'
      ? {
          status: 422,
          problem: { title: 'Unprocessable Entity', detail: 'Request validation failed.', errors },
        }
      : undefined;
  const { text } = await bench.deploy(['embedding']);
  expect(text).toContain('422: Unprocessable Entity: Request validation failed.');
  expect(text).toContain('body.gpu.pools');
  expect(counted('POST /v2/templates')).toBe(1);
});

test('too many requests: tried again after what is asked for; a server error only where nothing can be made twice', async () => {
  let turnedAway = 0;
  bench.server.intercept = ({ method, path }) => {
    if (turnedAway >= 2 || path !== '/v2/templates') return undefined;
    turnedAway += 1;
    return method === 'GET'
      ? { status: 503, problem: { title: 'Service Unavailable' } }
      : { status: 429, problem: { title: 'Too Many Requests' }, headers: { 'retry-after': '0' } };
  };
  const { code } = await bench.deploy(['embedding']);
  expect(code).toBe(0);
  expect(counted('GET /v2/templates')).toBe(3);

  bench.server.intercept = ({ method }) => (method === 'POST' ? { status: 500, problem: {} } : undefined);
  expect((await bench.deploy(['cls'])).code).toBe(1);
  expect(counted('POST /v2/templates')).toBe(2);
});

test('two endpoints of the name: neither is touched, both are named', async () => {
  await bench.deploy(['embedding']);
  const [endpoint] = bench.server.endpoints;
  if (endpoint !== undefined)
    bench.server.endpoints.push({ ...endpoint, id: 'ep9', name: `${endpoint.name} -fb` });
  const changes = bench.changes().length;
  const { code, text } = await bench.deploy(['embedding']);
  expect(code).toBe(1);
  expect(text).toMatch(/ep1, ep9/);
  expect(bench.changes()).toHaveLength(changes);
});
