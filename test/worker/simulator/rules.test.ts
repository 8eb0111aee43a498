import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from '../../../src/worker/simulator/simulator.ts';
import { hand, type Hand } from './support.ts';

let simulator: Simulator;
let worker: Hand;
beforeEach(async () => {
  simulator = await startSimulator({ longPollMs: 20 });
  worker = hand(simulator);
});
afterEach(async () => {
  await simulator.close();
});

test('an answer of any status, body and headers, and nothing else happens', async () => {
  simulator.submit({});
  const outcome = { status: 429, body: { busy: true }, headers: { 'retry-after': '7' } };
  const rule = simulator.script({ route: 'take', outcome, times: 1 });
  const response = await fetch(worker.addresses.take(1, false), {
    headers: { authorization: 'simulated-api-key' },
  });
  expect(response.status).toBe(429);
  expect(response.headers.get('retry-after')).toBe('7');
  expect(await response.json()).toEqual({ busy: true });
  expect(rule.applied).toBe(1);
  expect(simulator.waiting).toBe(1);
  expect(simulator.requests.at(-1)).toMatchObject({ status: 429 });
  expect(await worker.take()).toMatchObject({ status: 200 });
});

test('text is sent as it is', async () => {
  simulator.script({ route: 'take', outcome: { status: 200, body: 'no JSON' } });
  const headers = { authorization: 'simulated-api-key' };
  expect(await (await fetch(worker.addresses.take(1, false), { headers })).text()).toBe('no JSON');
});

test('cut: no answer, and the job stays where it was', async () => {
  simulator.submit({});
  simulator.script({ route: 'take', outcome: 'cut', times: 1 });
  await expect(worker.take()).rejects.toThrow('fetch failed');
  expect(simulator.waiting).toBe(1);
  expect(simulator.requests[0]).not.toHaveProperty('status');
});

test('silence: the request hangs', async () => {
  simulator.script({ route: 'take', outcome: 'silence', times: 1 });
  const leave = new AbortController();
  const hanging = worker.take(leave.signal);
  // Another one that came later is answered before.
  await simulator.waitFor(() => simulator.requests.length === 1);
  expect(await worker.take()).toMatchObject({ status: 204 });
  leave.abort();
  await expect(hanging).rejects.toThrow('aborted');
});

test('accepts: the request has its effect, and the worker does not learn of it', async () => {
  const id = simulator.submit({});
  await worker.take();
  simulator.script({ route: 'done', outcome: 'cut', accepts: true, times: 1 });
  await expect(worker.done(id, { output: 1 })).rejects.toThrow('fetch failed');
  expect(simulator.results.get(id)).toMatchObject([{ output: 1 }]);
});

test('a job that was taken by an answer that got lost stays taken', async () => {
  simulator.submit({});
  simulator.script({ route: 'take', outcome: 'cut', accepts: true, times: 1 });
  await expect(worker.take()).rejects.toThrow('fetch failed');
  expect(simulator.waiting).toBe(0);
});

test('delayMs alone: what would be answered, later', async () => {
  const id = simulator.submit({});
  simulator.script({ route: 'take', delayMs: 60_000, times: 1 });
  const slow = worker.take();
  slow.catch(() => undefined);
  await simulator.waitFor(() => simulator.requests.length === 1);
  // Nothing happens before the delay is over: the job is another's.
  expect(await hand(simulator, 'w2').take()).toMatchObject({ body: { id } });

  simulator.script({ route: 'take', delayMs: 1, times: 1 });
  const next = simulator.submit({});
  expect(await worker.take()).toMatchObject({ body: { id: next } });
});

test('nth and times count the requests that match', async () => {
  simulator.script({ route: 'take', outcome: { status: 500 }, nth: 2, times: 2 });
  const seen = [];
  for (let i = 0; i < 5; i++) seen.push((await worker.take()).status);
  expect(seen).toEqual([204, 500, 500, 204, 204]);
});

test('job: posts of this job alone, and progress apart from results', async () => {
  for (const id of ['a', 'b']) simulator.submit({}, { id });
  await worker.take();
  await worker.take();
  simulator.script({ route: 'progress', job: 'a', outcome: { status: 503 } });
  const progress = { status: 'IN_PROGRESS', output: 1 };
  expect([await worker.done('a', progress), await worker.done('b', progress)]).toEqual([503, 200]);
  expect(await worker.done('a', { output: 1 })).toBe(200);
});

test('of several rules the latest holds, and gone is one that was removed', async () => {
  const first = simulator.script({ route: 'take', outcome: { status: 500 } });
  const second = simulator.script({ route: 'take', outcome: { status: 503 } });
  expect((await worker.take()).status).toBe(503);
  second.remove();
  expect((await worker.take()).status).toBe(500);
  expect([first.applied, second.applied]).toEqual([1, 1]);
  simulator.clear();
  expect((await worker.take()).status).toBe(204);
});

test('a rule that makes no sense is refused', () => {
  expect(() => simulator.script({ route: 'take', nth: 0 })).toThrow('nth');
});
