import { expect, test } from '@jest/globals';
import type { MiddlewareHandler } from 'hono';

import { createLog } from '../../../src/base/log.ts';
import { createJobTable } from '../../../src/worker/endpoint/job-table.ts';
import { ENDPOINT_LIMITS } from '../../../src/worker/endpoint/limits.ts';
import { createRoutes } from '../../../src/worker/endpoint/routes.ts';
import { gate, startEndpoint } from './support.ts';

test('a client that has gone leaves its job running', async () => {
  const release = gate();
  const started = gate();
  await using endpoint = await startEndpoint(() => {
    started.open();
    return release.opened.then(() => 'late');
  });
  const leave = new AbortController();
  const gone = fetch(`${endpoint.url}/runsync`, {
    method: 'POST',
    body: '{"input":1}',
    signal: leave.signal,
  });
  await started.opened;
  leave.abort();
  await expect(gone).rejects.toThrow('aborted');
  release.open();
  const id = /sync-[\da-f-]+/.exec(endpoint.log())?.[0] ?? '';
  expect(await endpoint.settled(id)).toMatchObject({ status: 'COMPLETED', output: 'late' });
});

/** The endpoint's addresses without a server: a request ends when the test says so. */
function openRoutes() {
  const jobs = createJobTable({ limits: ENDPOINT_LIMITS, onEnd: () => undefined });
  const callers: MiddlewareHandler = (_, go) => go();
  const lines: string[] = [];
  const log = createLog({ write: (line) => lines.push(line) });
  const routes = createRoutes({ callers, jobs, limits: ENDPOINT_LIMITS, isReady: () => true, log });
  return { jobs, routes, lines };
}

test('a client that goes in the middle of its request is no fault', async () => {
  const { routes, lines } = openRoutes();
  const leave = new AbortController();
  const body = new ReadableStream({
    start(stream) {
      stream.enqueue(new TextEncoder().encode('{"input":'));
      leave.signal.addEventListener('abort', () => stream.error(new Error('aborted')));
    },
  });
  const init = { method: 'POST', body, duplex: 'half', signal: leave.signal } as RequestInit;
  const gone = routes.request('/run', init);
  await Promise.resolve();
  leave.abort();
  expect((await gone).status).toBe(400);
  expect(lines).toEqual([]);
});

test('a reader that has gone takes no piece with it', async () => {
  const { jobs, routes } = openRoutes();
  const request = { webhook: undefined, executionTimeout: undefined, ttl: undefined, bytes: 0 };
  const { id } = jobs.submit({ input: 1, ...request }, false);
  const leave = new AbortController();
  await jobs.take(1, 'w1', leave.signal);

  const gone = routes.request(`/stream/${id}`, { signal: leave.signal });
  await Promise.resolve();
  leave.abort();
  jobs.piece(id, { value: { output: 'piece' }, bytes: 0 });
  expect(await (await gone).json()).toMatchObject({ stream: [] });
  const next = await routes.request(`/stream/${id}`);
  expect(await next.json()).toMatchObject({ stream: [{ output: 'piece' }] });
});
