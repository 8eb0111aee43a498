import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { HandlerError } from '../../src/base/errors.ts';
import { toJson } from '../../src/worker/output.ts';

function loop(): unknown {
  const value: Record<string, unknown> = { b: {} };
  (value.b as Record<string, unknown>).c = value;
  return { a: value };
}

function nested(levels: number): unknown {
  return JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as unknown;
}

describe('toJson', () => {
  test('is JSON.stringify, where JSON holds all of it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(toJson(value)).toBe(JSON.stringify(value));
      }),
    );
  });

  test('nothing is null, an undefined key is left out, a date is its text', () => {
    expect(toJson(undefined)).toBe('null');
    expect(toJson({ toJSON: () => undefined })).toBe('null');
    expect(toJson({ a: undefined, when: new Date(0) })).toBe('{"when":"1970-01-01T00:00:00.000Z"}');
  });

  test('the same value twice is no cycle', () => {
    const shared = { x: 1 };
    expect(toJson([shared, shared])).toBe('[{"x":1},{"x":1}]');
  });

  test.each<[string, unknown, string]>([
    ['a BigInt', { ids: [1, 2n] }, 'output.ids[1] is a BigInt'],
    ['a cycle', loop(), 'output.a.b.c holds itself'],
    ['not a number', { vector: [0.5, NaN] }, 'output.vector[1] is the number NaN'],
    ['infinity', { score: -Infinity }, 'output.score is the number -Infinity'],
    ['a vector', { vector: new Float32Array(2) }, 'output.vector is binary data'],
    ['a buffer', { bytes: Buffer.from('x') }, 'output.bytes is binary data'],
    ['bytes', new ArrayBuffer(2), 'output is binary data'],
    ['a map', { counts: new Map() }, 'output.counts is a Map'],
    ['a set', { seen: new Set() }, 'output.seen is a Set'],
    ['a promise', { later: Promise.resolve(1) }, 'output.later is a Promise'],
    ['a function', { 'odd key': () => 1 }, 'output["odd key"] is a function'],
    ['a symbol', [Symbol('x')], 'output[0] is a symbol'],
    ['too many levels', nested(3_000), 'lies deeper than 500 levels'],
    ['a deeper one than any stack', nested(100_000), 'lies deeper than 500 levels'],
    ['a value inside a toJSON', { a: { toJSON: () => ({ b: 1n }) } }, 'output.a.b is a BigInt'],
  ])('names the path of %s', (_, value, message) => {
    const fault = catchFrom(() => toJson(value));
    expect(fault).toBeInstanceOf(HandlerError);
    expect(fault).toMatchObject({
      code: 'output_not_json',
      message: expect.stringContaining(message),
    });
  });

  test('a getter that throws is named as well', () => {
    const value = {
      list: [
        {
          get broken(): number {
            throw new Error('no such row');
          },
        },
      ],
    };
    expect(catchFrom(() => toJson(value))).toMatchObject({
      code: 'output_not_json',
      message: expect.stringMatching(/^output\.list\[0\].*no such row/),
    });
  });
});

function catchFrom(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
