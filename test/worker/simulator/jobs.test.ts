import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { startSimulator, type Simulator } from '../../../src/worker/simulator/simulator.ts';
import { hand, type Hand } from './support.ts';

let simulator: Simulator;
let worker: Hand;
beforeEach(async () => {
  simulator = await startSimulator({ longPollMs: 50 });
  worker = hand(simulator);
});
afterEach(async () => {
  await simulator.close();
  expect(simulator.violations).toEqual([]);
});

describe('take', () => {
  test('hands out one job at a time, in order, with what was submitted beside its input', async () => {
    simulator.submit({ n: 1 }, { id: 'a', webhook: 'http://x' });
    simulator.submit({ n: 2 }, { id: 'b' });
    expect(simulator.waiting).toBe(2);
    expect(await worker.take()).toEqual({
      status: 200,
      body: { id: 'a', input: { n: 1 }, webhook: 'http://x' },
    });
    expect(await worker.take()).toEqual({ status: 200, body: { id: 'b', input: { n: 2 } } });
    expect(simulator.waiting).toBe(0);
  });

  test('holds the request until there is a job, or its time is up', async () => {
    expect(await worker.take()).toEqual({ status: 204, body: undefined });
    const taking = worker.take();
    await simulator.waitFor(() => simulator.requests.length === 2);
    const id = simulator.submit({});
    expect(await taking).toMatchObject({ status: 200, body: { id } });
  });

  test('in batches: a list of what there is, up to the size asked for', async () => {
    for (const id of ['a', 'b', 'c']) simulator.submit({}, { id });
    expect(await worker.get(worker.addresses.take(2, true))).toMatchObject({
      status: 200,
      body: [{ id: 'a' }, { id: 'b' }],
    });
    expect(await worker.get(worker.addresses.take(2, true))).toMatchObject({ body: [{ id: 'c' }] });
    expect(await worker.get(worker.addresses.take(2, true))).toMatchObject({ status: 204 });
  });

  test('by a worker that has gone hands out nothing', async () => {
    await using slow = await startSimulator({ longPollMs: 60_000 });
    const leave = new AbortController();
    const gone = hand(slow).take(leave.signal);
    await slow.waitFor(() => slow.requests.length === 1);
    leave.abort();
    await expect(gone).rejects.toThrow('aborted');
    // The next worker waits behind it: what is submitted now is its.
    const taking = hand(slow, 'w2').take();
    await slow.waitFor(() => slow.requests.length === 2);
    const id = slow.submit({});
    expect(await taking).toMatchObject({ body: { id } });
  });
});

test('done: the result, with its time and its worker', async () => {
  const id = simulator.submit({});
  await worker.take();
  const before = performance.timeOrigin + performance.now();
  expect(await worker.done(id, { output: { a: 1 }, stopPod: true, other: 1 })).toBe(200);
  const posts = simulator.results.get(id);
  expect(posts).toEqual([
    { output: { a: 1 }, stopPod: true, isStream: false, workerId: 'w1', time: expect.any(Number) },
  ]);
  expect(posts?.[0]?.time).toBeGreaterThanOrEqual(before);
  expect(simulator.finals).toBe(1);
});

test('progress and pieces of a stream are kept apart from results, in order', async () => {
  const id = simulator.submit({});
  await worker.take();
  const done = worker.addresses.done(id, true);
  for (const output of [1, 2]) await worker.post(done, id, { status: 'IN_PROGRESS', output });
  for (const output of ['a', 'b']) await worker.post(worker.addresses.stream?.(id) ?? '', id, { output });
  await worker.post(done, id, { output: [] });
  expect(simulator.progress.get(id)?.map(({ output }) => output)).toEqual([1, 2]);
  expect(simulator.streams.get(id)?.map(({ output }) => output)).toEqual(['a', 'b']);
  expect(simulator.results.get(id)).toMatchObject([{ output: [], isStream: true }]);
  expect(simulator.requests.map(({ route }) => route)).toEqual([
    'take',
    'progress',
    'progress',
    'stream',
    'stream',
    'done',
  ]);
});

test('every request is recorded with its time, its parts and its answer', async () => {
  const id = simulator.submit({ n: 1 });
  await worker.take();
  await worker.done(id, { output: 1 });
  const [take, done] = simulator.requests;
  expect(take).toMatchObject({
    route: 'take',
    method: 'GET',
    path: '/v2/simulated/job-take/w1',
    query: { gpu: 'NVIDIA Simulated', job_in_progress: '0' },
    workerId: 'w1',
    body: '',
    status: 200,
  });
  expect(done).toMatchObject({
    route: 'done',
    method: 'POST',
    jobId: id,
    body: '{"output":1}',
    headers: { 'x-request-id': id },
    status: 200,
  });
  expect(done?.time).toBeGreaterThan(take?.time ?? Infinity);
});

describe('stop', () => {
  test('of a job that waits: nobody gets it', async () => {
    const id = simulator.submit({});
    expect(simulator.stop(id)).toBe(true);
    expect(await worker.take()).toMatchObject({ status: 204 });
  });

  test('of a job that was taken: its worker is told, by a request that waits or the next one', async () => {
    const ids = [simulator.submit({}), simulator.submit({})];
    await worker.take();
    await worker.take();
    const other = hand(simulator, 'w2');
    const waiting = worker.get(worker.addresses.stops ?? '');
    await simulator.waitFor(() => simulator.requests.some(({ route }) => route === 'stop'));
    simulator.stop(ids[0] ?? '');
    expect(await waiting).toEqual({ status: 200, body: { jobsToStop: [ids[0]] } });
    simulator.stop(ids[1] ?? '');
    expect(await other.get(other.addresses.stops ?? '')).toMatchObject({ status: 204 });
    expect(await worker.get(worker.addresses.stops ?? '')).toMatchObject({ body: { jobsToStop: [ids[1]] } });
  });

  test('of a job that has ended, or never was, is refused', async () => {
    const id = simulator.submit({});
    await worker.take();
    await worker.done(id, { output: 1 });
    expect(simulator.stop(id)).toBe(false);
    expect(simulator.stop('none')).toBe(false);
  });
});

test('ping is answered, and recorded with what it says', async () => {
  expect(await worker.get(`${worker.addresses.ping}&job_id=a,b&runpod_version=1`)).toMatchObject({
    status: 200,
  });
  expect(simulator.requests).toMatchObject([{ route: 'ping', query: { job_id: 'a,b' }, workerId: 'w1' }]);
});

test('a result above the limit is answered by 413 and is none', async () => {
  await using small = await startSimulator({ maxResultBytes: 100 });
  const id = small.submit({});
  const other = hand(small);
  await other.take();
  expect(await other.done(id, { output: 'x'.repeat(100) })).toBe(413);
  expect(small.results.size).toBe(0);
  expect(await other.done(id, { error: 'too large' })).toBe(200);
  expect(small.violations).toEqual([]);
});

test('of many requests the oldest are forgotten; counts stay', async () => {
  await using short = await startSimulator({ maxRequests: 4, longPollMs: 1 });
  const other = hand(short);
  for (let i = 0; i < 10; i++) {
    const id = short.submit(i);
    await other.take();
    await other.done(id, { output: i });
  }
  expect(short.requests.length).toBeLessThanOrEqual(5);
  expect(short.requests.at(-1)).toMatchObject({ route: 'done', body: '{"output":9}' });
  expect(short.finals).toBe(10);
});
