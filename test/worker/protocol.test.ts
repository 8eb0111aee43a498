import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import {
  createAddresses,
  postHeaders,
  takeHeaders,
  USER_AGENT,
  withJobIds,
  WORKER_VERSION,
} from '../../src/worker/protocol.ts';

const BASE = 'https://api.example.invalid/v2/e1';
const SETTINGS = {
  RUNPOD_WEBHOOK_GET_JOB: `${BASE}/job-take/$ID?gpu=A`,
  RUNPOD_WEBHOOK_POST_OUTPUT: `${BASE}/job-done/$RUNPOD_POD_ID/$ID?gpu=A`,
  RUNPOD_WEBHOOK_POST_STREAM: `${BASE}/job-stream/$RUNPOD_POD_ID/$ID?gpu=A`,
  RUNPOD_WEBHOOK_PING: `${BASE}/ping/$RUNPOD_POD_ID?gpu=A`,
};

describe('addresses', () => {
  const addresses = createAddresses(SETTINGS, 'w1');

  test.each([
    [addresses.take(1, false), `${BASE}/job-take/w1?gpu=A&job_in_progress=0`],
    [addresses.take(3, true), `${BASE}/job-take-batch/w1?gpu=A&batch_size=3&job_in_progress=1`],
    [addresses.stops, `${BASE}/job-stop/w1?gpu=A`],
    [addresses.done('j1', false), `${BASE}/job-done/w1/j1?gpu=A&isStream=false`],
    [addresses.done('j1', true), `${BASE}/job-done/w1/j1?gpu=A&isStream=true`],
    [addresses.stream?.('j1'), `${BASE}/job-stream/w1/j1?gpu=A&isStream=false`],
    [withJobIds(addresses.ping ?? '', []), `${BASE}/ping/w1?gpu=A&runpod_version=${WORKER_VERSION}`],
    [
      withJobIds(addresses.ping ?? '', ['a', 'b']),
      `${BASE}/ping/w1?gpu=A&job_id=a,b&runpod_version=${WORKER_VERSION}`,
    ],
    [
      addresses.unhealthy?.('gpu', 'none & gone'),
      `${BASE}/ping/w1?gpu=A&status=unhealthy&check=gpu&reason=none%20%26%20gone&runpod_version=${WORKER_VERSION}`,
    ],
  ])('%s', (address, expected) => {
    expect(address).toBe(expected);
  });

  test('without a query, and with ids that are no words', () => {
    const odd = createAddresses(
      { ...SETTINGS, RUNPOD_WEBHOOK_POST_OUTPUT: `${BASE}/job-done/$RUNPOD_POD_ID/$ID` },
      'w/1',
    );
    expect(odd.done('$& ?', false)).toBe(`${BASE}/job-done/w%2F1/%24%26%20%3F?isStream=false`);
  });

  test('both tokens are filled in wherever they stand', () => {
    const template = `${BASE}/x/job-take/$ID/$RUNPOD_POD_ID`;
    const both = createAddresses(
      {
        RUNPOD_WEBHOOK_GET_JOB: template,
        RUNPOD_WEBHOOK_POST_OUTPUT: template,
        RUNPOD_WEBHOOK_POST_STREAM: template,
        RUNPOD_WEBHOOK_PING: template,
      },
      'w1',
    );
    const paths = [both.take(1, false), both.stops, both.ping, both.done('j1', false), both.stream?.('j1')];
    expect(paths.map((address) => address?.replace(/\?.*/, '').replace(`${BASE}/x/`, ''))).toEqual([
      'job-take/w1/w1',
      'job-stop/w1/w1',
      'job-take/w1/w1',
      'job-take/j1/w1',
      'job-take/j1/w1',
    ]);
  });

  test('of a take in another form: nothing is asked there but for jobs', () => {
    const other = createAddresses({ ...SETTINGS, RUNPOD_WEBHOOK_GET_JOB: `${BASE}/jobs/$ID` }, 'w1');
    expect(other.stops).toBeUndefined();
    expect(other.take(1, true)).toBe(`${BASE}/jobs/w1?job_in_progress=1`);
  });

  test('a reason is cut to what the service keeps', () => {
    const address = new URL(addresses.unhealthy?.('gpu', 'x'.repeat(1_000)) ?? '');
    expect(address.searchParams.get('reason')).toHaveLength(256);
  });

  test('one that is missing is named', () => {
    expect(() => createAddresses({ ...SETTINGS, RUNPOD_WEBHOOK_POST_OUTPUT: undefined }, 'w1')).toThrow(
      /RUNPOD_WEBHOOK_POST_OUTPUT is missing/,
    );
  });
});

test('headers: the key alone, our own name, and of a post its job', () => {
  expect(takeHeaders('k')).toEqual({
    authorization: 'k',
    'content-type': 'application/json',
    'user-agent': USER_AGENT,
  });
  expect(postHeaders(undefined, 'j1')).toEqual({
    'content-type': 'application/x-www-form-urlencoded',
    'user-agent': USER_AGENT,
    'x-request-id': 'j1',
  });
});

test('the version is the package’s', () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  expect(WORKER_VERSION).toBe((JSON.parse(text) as { version: string }).version);
});
