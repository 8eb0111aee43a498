import { expect, test } from '@jest/globals';

import { parseRetryAfter } from '../../src/http/retry-after.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

test.each([
  ['0', 0],
  ['120', 120_000],
  [' 1.5 ', 1_500],
  ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
  ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
])('Retry-After: %s', (header, expected) => {
  expect(parseRetryAfter(header, NOW)).toBe(expected);
});

test.each([[undefined], [''], ['-1'], ['soon'], ['1e3'], ['NaN']])(
  'Retry-After: %s says nothing',
  (header) => {
    expect(parseRetryAfter(header, NOW)).toBeUndefined();
  },
);
