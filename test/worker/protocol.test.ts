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
    [addresses.stream?.('j1'), `${BASE}/job-stream/w1/j1?gpu=A&isStream=true`],
    [withJobIds(addresses.ping ?? '', []), `${BASE}/ping/w1?gpu=A&runpod_version=${WORKER_VERSION}`],
    [
      withJobIds(addresses.ping ?? '', ['a', 'b']),
      `${BASE}/ping/w1?gpu=A&job_id=a,b&runpod_version=${WORKER_VERSION}`,
    ],
    [
      addresses.unhealthy?.('gpu', 'none & gone'),
      `${BASE}/ping/w1?gpu=A&status=unhealthy&check=gpu&reason=none%20%26%20gone`,
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
