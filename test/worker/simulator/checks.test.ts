import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { postHeaders } from '../../../src/worker/protocol.ts';
import { startSimulator, type Simulator } from '../../../src/worker/simulator/simulator.ts';
import { hand, type Hand } from './support.ts';

const KEY = 'simulated-api-key';

let simulator: Simulator;
let worker: Hand;
beforeEach(async () => {
  simulator = await startSimulator({ longPollMs: 1 });
  worker = hand(simulator);
});
afterEach(async () => {
  await simulator.close();
});

const messages = () => simulator.violations.map(({ message }) => message);

describe('headers', () => {
  test.each<[string, Record<string, string>, RegExp]>([
    ['no key', { 'user-agent': 'x' }, /no Authorization header/],
    ['another key', { authorization: 'other' }, /not the key/],
    ['Bearer before the key', { authorization: `Bearer ${KEY}` }, /begins with Bearer/],
  ])('%s: refused, and a violation', async (_, headers, message) => {
    const response = await fetch(worker.addresses.take(1, false), { headers });
    expect(response.status).toBe(401);
    expect(messages()).toEqual([expect.stringMatching(message)]);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['another job’s id', { 'x-request-id': 'other' }, /X-Request-ID is not the id of the job/],
    ['another content type', { 'content-type': 'application/json' }, /Content-Type is not/],
  ])('of a post: %s', async (_, change, message) => {
    const id = simulator.submit({});
    await worker.take();
    const headers = { ...postHeaders(KEY, id), ...change };
    expect(await worker.post(worker.addresses.done(id, false), id, { output: 1 }, headers)).toBe(200);
    expect(messages()).toEqual([expect.stringMatching(message)]);
  });
});

describe('queries', () => {
  test.each<[string, string, RegExp]>([
    ['job_in_progress=0', '', /job_in_progress is neither 0 nor 1/],
    ['batch_size=2', 'batch_size=0', /batch_size is no whole number/],
  ])('%s', async (part, instead, message) => {
    await worker.get(worker.addresses.take(2, false).replace(part, instead));
    expect(messages()).toEqual([expect.stringMatching(message)]);
  });

  test('isStream', async () => {
    const id = simulator.submit({});
    await worker.take();
    const url = worker.addresses.done(id, false).replace('isStream=false', '');
    await worker.post(url, id, { output: 1 });
    expect(messages()).toEqual([expect.stringMatching(/isStream is neither true nor false/)]);
  });
});

describe('bodies', () => {
  test.each<[string, unknown, RegExp]>([
    ['no JSON', 'x', /no JSON object/],
    ['a list', [1], /no JSON object/],
    ['neither output nor error', { result: 1 }, /neither output nor error/],
    ['an error that is no text', { error: { code: 1 } }, /error is no string/],
  ])('%s', async (_, body, message) => {
    const id = simulator.submit({});
    await worker.take();
    await worker.done(id, body);
    expect(messages()).toEqual([expect.stringMatching(message)]);
  });

  test('a piece of a stream above 1 MB', async () => {
    const id = simulator.submit({});
    await worker.take();
    await worker.post(worker.addresses.stream?.(id) ?? '', id, { output: 'x'.repeat(1_000_000) });
    expect(messages()).toEqual([expect.stringMatching(/1000013 bytes, above 1000000/)]);
  });
});

describe('posts of a job', () => {
  const done = { output: 1 };

  test('that was never submitted', async () => {
    await worker.done('none', done);
    expect(messages()).toEqual([expect.stringMatching(/never submitted/)]);
  });

  test('that nobody took', async () => {
    await worker.done(simulator.submit({}), done);
    expect(messages()).toEqual([expect.stringMatching(/nobody took/)]);
  });

  test('that another worker took', async () => {
    const id = simulator.submit({});
    await hand(simulator, 'w2').take();
    await worker.done(id, done);
    expect(messages()).toEqual([expect.stringMatching(/another worker took/)]);
  });

  test('that has ended: a second result, and progress after the first', async () => {
    const id = simulator.submit({});
    await worker.take();
    await worker.done(id, done);
    await worker.done(id, done);
    await worker.done(id, { status: 'IN_PROGRESS', output: 1 });
    expect(messages()).toEqual([
      expect.stringMatching(/^a final post after the final post/),
      expect.stringMatching(/^a post of the progress kind after the final post/),
    ]);
    expect(simulator.results.get(id)).toHaveLength(2);
  });

  test('that was stopped: a result, but not progress', async () => {
    const id = simulator.submit({});
    await worker.take();
    simulator.stop(id);
    await worker.done(id, { status: 'IN_PROGRESS', output: 1 });
    expect(messages()).toEqual([]);
    await worker.done(id, done);
    expect(messages()).toEqual([expect.stringMatching(/was stopped/)]);
  });
});
