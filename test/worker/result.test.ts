import { describe, expect, test } from '@jest/globals';

import { limited, resultOf } from '../../src/worker/result.ts';

describe('size', () => {
  test('is counted in bytes as they are sent, and named with the limit', () => {
    const json = JSON.stringify('ä'.repeat(6));
    expect(limited(json, 'the output', 14)).toBe(json);
    expect(() => limited(json, 'the output', 13)).toThrow(
      /the output has 14 bytes, above the limit of 13 bytes; store it elsewhere/,
    );
  });
});

describe('an error in an output', () => {
  test.each<[unknown, unknown, boolean]>([
    ['all failed', { error: '"all failed"' }, true],
    [{ code: 7 }, { error: JSON.stringify('{"code":7}') }, true],
    [null, { output: '{}' }, false],
    [false, { output: '{}' }, false],
    ['', { output: '{}' }, false],
  ])('%j', (error, fields, failed) => {
    expect(resultOf({ error }, {})).toEqual({ fields, failed, refresh: false });
  });

  test('stands beside the rest of it', () => {
    const { fields } = resultOf({ error: 'some', done: 3 }, {});
    expect(fields).toEqual({ output: '{"done":3}', error: '"some"' });
  });

  test('shows no secret of the input', () => {
    const { fields } = resultOf({ error: 'refused odd secret/+' }, { nested: [{ api_key: 'odd secret/+' }] });
    expect(fields.error).toBe('"refused [redacted]"');
  });
});
