import { describe, expect, test } from '@jest/globals';

import { failureOf, limited, resultOf } from '../../src/worker/result.ts';

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

describe('what was thrown', () => {
  const changed = (change: Record<string, unknown>): Error => Object.assign(new Error('as it was'), change);
  const unreadable = (key: string): Error =>
    Object.defineProperty(new Error('as it was'), key, {
      get() {
        throw new Error('no');
      },
    });
  const revoked = (): unknown => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };

  test.each<[string, unknown, string]>([
    ['an error whose message is none', changed({ message: { code: 7 } }), '[object Object]'],
    ['an error without a message', changed({ message: undefined }), 'undefined'],
    ['an error whose message cannot be read', unreadable('message'), 'cannot be read'],
    ['an error whose stack is a list', changed({ stack: ['a', 'b'] }), 'as it was'],
    ['an error whose stack cannot be read', unreadable('stack'), 'as it was'],
    ['an error whose name is a number', changed({ name: 5n }), 'as it was'],
    ['an error whose name is a symbol', changed({ name: Symbol('x') }), 'as it was'],
    ['an object without a text', Object.create(null), 'cannot be read'],
    ['a proxy that is no more', revoked(), 'cannot be read'],
    ['a symbol', Symbol('odd'), 'Symbol(odd)'],
  ])('becomes the error of its job: %s', (_, thrown, message) => {
    const { fields, failed } = failureOf(thrown, { a: 1 }, { workerId: 'w1', hostname: 'h1' });
    const told = JSON.parse(JSON.parse(fields.error ?? '') as string) as Record<string, string>;
    expect(failed).toBe(true);
    expect(told).toMatchObject({
      error_type: expect.any(String),
      error_message: expect.stringContaining(message),
      error_traceback: expect.any(String),
      worker_id: 'w1',
    });
  });
});
