import { afterEach, expect, test } from '@jest/globals';

import { gate, startEndpoint, type TestEndpoint } from './support.ts';

let endpoint: TestEndpoint;
afterEach(async () => {
  await endpoint[Symbol.asyncDispose]();
});

/** Asks until the result has been forgotten. */
async function forgotten(id: string): Promise<void> {
  while ((await endpoint.call('GET', `/status/${id}`)).status !== 404);
}

test('results of /runsync are forgotten before those of /run', async () => {
  endpoint = await startEndpoint(() => 1, { limits: { syncKeptMs: 50, asyncKeptMs: 60_000 } });
  const kept = await endpoint.run({});
  await endpoint.settled(kept);
  const { body } = await endpoint.call('POST', '/runsync', { input: 1 });
  await forgotten(String(body.id));
  expect(await endpoint.status(kept)).toMatchObject({ status: 'COMPLETED' });
});

test('results of /run are forgotten in their time, and earlier where ?ttl= says so', async () => {
  endpoint = await startEndpoint(() => 1, { limits: { asyncKeptMs: 60_000 } });
  const id = await endpoint.run({});
  await endpoint.settled(id);
  expect((await endpoint.call('GET', `/status/${id}?ttl=20`)).status).toBe(200);
  await forgotten(id);
});

test('a job that failed can run again as long as it is known', async () => {
  endpoint = await startEndpoint(
    () => {
      throw new Error('always');
    },
    { limits: { asyncKeptMs: 20 } },
  );
  const id = await endpoint.run({});
  await forgotten(id);
  expect((await endpoint.call('POST', `/retry/${id}`)).status).toBe(404);
});

test('where results take more room than there is, the oldest are forgotten first', async () => {
  const limits = { maxHeldBytes: 16_000, maxAsyncBytes: 1_000 };
  endpoint = await startEndpoint(() => 'x'.repeat(4_000), { limits });
  const ids = [];
  for (let i = 0; i < 4; i++) {
    ids.push(await endpoint.run({ i }));
    await endpoint.settled(ids.at(-1) ?? '');
  }
  const found = [];
  for (const id of ids) found.push((await endpoint.call('GET', `/status/${id}`)).status);
  expect(found).toEqual([404, 200, 200, 200]);
});

test('jobs that wait are never forgotten: more than there is room for are refused', async () => {
  const release = gate();
  const limits = { maxHeldBytes: 4_000 };
  endpoint = await startEndpoint(() => release.opened, { limits });
  const ids = [await endpoint.run('x'.repeat(900)), await endpoint.run('y'.repeat(900))];
  expect(await endpoint.call('POST', '/run', { input: 'z'.repeat(900) })).toEqual({
    status: 429,
    body: { error: expect.stringContaining('submit it later') },
  });
  release.open();
  for (const id of ids) expect(await endpoint.settled(id)).toMatchObject({ status: 'COMPLETED' });
  expect((await endpoint.call('POST', '/run', { input: 'z'.repeat(900) })).status).toBe(200);
});

test('and so are more than may wait', async () => {
  const release = gate();
  endpoint = await startEndpoint(() => release.opened, { limits: { maxQueued: 2 } });
  const answers = [];
  for (let i = 0; i < 5; i++) answers.push((await endpoint.call('POST', '/run', { input: i })).status);
  expect(answers.filter((status) => status === 429).length).toBeGreaterThanOrEqual(2);
  release.open();
});

test('what was fetched of a stream takes no room, and what does not fit ends the job', async () => {
  const limits = { maxHeldBytes: 6_000 };
  const handler = async function* () {
    for (let i = 0; i < 10; i++) yield await Promise.resolve('x'.repeat(1_000));
  };
  endpoint = await startEndpoint(handler, { limits });
  const unread = await endpoint.run({});
  expect(await endpoint.settled(unread)).toMatchObject({
    status: 'FAILED',
    error: expect.stringContaining('no room for more of it'),
  });
  const { body } = await endpoint.call('GET', `/stream/${unread}`);
  const pieces = (body.stream as object[]).filter((piece) => 'output' in piece);
  expect(pieces).toHaveLength(4);
  // The room is free again, and an input of this size needs it.
  expect((await endpoint.call('POST', '/run', { input: 'x'.repeat(4_000) })).status).toBe(200);
});

test('the request of a job that has ended takes no room', async () => {
  endpoint = await startEndpoint(() => 1, { limits: { maxHeldBytes: 6_000 } });
  const first = await endpoint.run('x'.repeat(2_500));
  await endpoint.settled(first);
  await endpoint.settled(await endpoint.run('y'.repeat(2_500)));
  expect(await endpoint.status(first)).toMatchObject({ status: 'COMPLETED' });
});

test('a job that runs again is not forgotten for want of room', async () => {
  const [failing, waiting] = [gate(), gate()];
  let runs = 0;
  endpoint = await startEndpoint(
    async ({ input }) => {
      if (typeof input === 'string') return waiting.opened;
      runs += 1;
      if (runs > 1) return 'again';
      await failing.opened;
      throw new Error('e'.repeat(1_000));
    },
    { limits: { maxHeldBytes: 4_000 } },
  );
  const id = await endpoint.run({});
  const other = await endpoint.run('y'.repeat(1_500));
  failing.open();
  await endpoint.settled(id);
  expect(await endpoint.call('POST', `/retry/${id}`)).toMatchObject({ status: 200 });
  expect(await endpoint.status(id)).toMatchObject({ status: 'IN_QUEUE' });
  waiting.open();
  expect(await endpoint.settled(other)).toMatchObject({ status: 'COMPLETED' });
  expect(await endpoint.settled(id)).toMatchObject({ status: 'COMPLETED', output: 'again' });
});
