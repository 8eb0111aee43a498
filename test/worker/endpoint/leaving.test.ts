import { expect, test } from '@jest/globals';
import type { MiddlewareHandler } from 'hono';

import { SILENT_LOG } from '../../../src/base/log.ts';
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

test('a reader that has gone takes no piece with it', async () => {
  const jobs = createJobTable({ limits: ENDPOINT_LIMITS, onEnd: () => undefined });
  const callers: MiddlewareHandler = (_, go) => go();
  const parts = { callers, jobs, limits: ENDPOINT_LIMITS, isReady: () => true, log: SILENT_LOG };
  const routes = createRoutes(parts);
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
