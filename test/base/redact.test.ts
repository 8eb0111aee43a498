import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { HandlerError, StoreError } from '../../src/base/errors.ts';
import { isSecretKey, redact, redactValue } from '../../src/base/redact.ts';

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl';

describe('redact', () => {
  test.each([
    ['a JWT', `key ${JWT} refused`, 'eyJ'],
    ['a JWT without its dots', 'key eyJhbGciOiJIUzI1NiJ9 refused', 'eyJ'],
    ['a JWT behind an escape', `Authorization%20${JWT}`, 'eyJ'],
    ['a secret key', 'key sb_secret_abcDEF123 refused', 'abcDEF123'],
    ['a bearer token', 'Authorization: Bearer plain-token-1', 'plain-token-1'],
    ['basic credentials', 'Authorization: Basic dXNlcjpwYXNzd29yZA==', 'dXNlc'],
    ['the hub token', 'token hf_abcdefghijklmnopqrst', 'abcdefghij'],
    ['a RunPod key', 'key rpa_ABCDEFGH12345678', 'ABCDEFGH'],
    ['a password in an address', 'to https://user:hunter2@host.example/path', 'hunter2'],
    ['a password with @ in it', 'to postgres://user:hun@ter2@host/db', 'ter2'],
    ['a signed storage url', 'GET https://x.example/object/sign/frames/a.png?token=abc123', 'abc123'],
    ['a signed bucket url', 'GET https://x.example/a.png?X-Amz-Date=1&X-Amz-Signature=abc123', 'abc123'],
    ['a token in a fragment', 'https://x.example/#access_token=abc123&type=x', 'abc123'],
    ['a request body', 'sent {"supabase_service_key": "plain-1", "a": 1}', 'plain-1'],
    ['a form', 'sent api_key=plain-1&x=2', 'plain-1'],
  ])('hides %s', (_, text, secret) => {
    expect(redact(text)).not.toContain(secret);
    expect(redact(text)).toContain('[redacted]');
  });

  test.each([
    'GET https://x.example/a.png?width=100 failed',
    'hf_token: is missing; expected a key, without blanks',
    'HF_ENDPOINT and hf_transfer_enabled are settings',
    'basic dinov2-base',
  ])('leaves alone: %s', (text) => {
    expect(redact(text)).toBe(text);
  });

  test('keeps where a signed url leads', () => {
    expect(redact('(https://x.example/a.png?token=abc)')).toContain('https://x.example/a.png?[redacted]');
  });

  test('shortens pictures', () => {
    expect(redact(`bad data:image/png;base64,${'A'.repeat(200)} here`)).toBe('bad data:image/png,... here');
  });

  test.each(['http://a?', 'a-', 'eyJ', '?', 'data:', '://', '"a'])(
    'takes linear time on %s, repeated',
    (part) => {
      // Quadratic time would be minutes here, and the test's own limit ends it.
      expect(redact(part.repeat(500_000)).length).toBeGreaterThan(0);
    },
  );

  test('is stable: what is redacted stays as it is', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.constantFrom(JWT, 'sb_secret_x1', 'https://u:p@h/x?token=1'),
        (text, secret) => {
          const once = redact(`${text} ${secret}`);
          expect(redact(once)).toBe(once);
        },
      ),
    );
  });
});

describe('isSecretKey', () => {
  test.each([
    'supabase_service_key',
    'SUPABASE_SERVICE_ROLE_KEY',
    'supabase_key',
    'qdrant_api_key',
    'QDRANT_API_KEY',
    'hf_token',
    'apiKey',
    'apikey',
    'x-api-key',
    'hfToken',
    'serviceKey',
    'Authorization',
    'set-cookie',
    'db_password',
    'client_secret',
  ])('%s', (key) => {
    expect(isSecretKey(key)).toBe(true);
  });

  test.each(['key', 'keys', 'job_id', 'collection_name', 'tokens', 'pooling'])('not %s', (key) => {
    expect(isSecretKey(key)).toBe(false);
  });
});

describe('redactValue', () => {
  test('hides secret keys at every depth, whatever their value', () => {
    const value = {
      a: [{ qdrant_api_key: 'plain' }, { headers: { authorization: ['plain'] } }],
      hf_token: 5,
    };
    expect(redactValue(value)).toEqual({
      a: [{ qdrant_api_key: '[redacted]' }, { headers: { authorization: '[redacted]' } }],
      hf_token: '[redacted]',
    });
  });

  test('shows an error with its code, message, status and cause, all redacted', () => {
    const cause = new HandlerError('http_404', `no ${JWT}`, { retryable: false });
    const error = new StoreError('qdrant', 'qdrant_unavailable', 'busy: Bearer plain-token', {
      retryable: true,
      status: 503,
      cause,
    });
    const shown = redactValue({ error }) as { error: Record<string, unknown> };
    expect(shown.error).toMatchObject({
      name: 'StoreError',
      code: 'qdrant_unavailable',
      message: 'busy: Bearer [redacted]',
      retryable: true,
      status: 503,
      store: 'qdrant',
      cause: { code: 'http_404', message: 'no [redacted]' },
    });
    expect(shown.error).not.toHaveProperty('stack');
  });

  test('keeps the stack of an error that nobody expected', () => {
    const shown = redactValue(new TypeError(`x is undefined ${JWT}`)) as Record<string, string>;
    expect(shown).toMatchObject({ name: 'TypeError', message: 'x is undefined [redacted]' });
    expect(shown.stack).toContain('redact.test.ts');
    expect(shown.stack).not.toContain('eyJ');
  });

  test('shows the errors inside an aggregate', () => {
    const shown = redactValue(new AggregateError([new HandlerError('timeout', 'late')], 'all failed'));
    expect(shown).toMatchObject({ message: 'all failed', errors: [{ code: 'timeout', message: 'late' }] });
  });

  test('shows addresses, dates, maps, bytes and large numbers', () => {
    expect(
      redactValue({
        url: new URL('https://u:p@h.example/x'),
        when: new Date(0),
        never: new Date(NaN),
        map: new Map([['api_key', 'plain']]),
        set: new Set([1]),
        bytes: new Uint8Array(5),
        id: 2n ** 63n,
      }),
    ).toEqual({
      url: 'https://[redacted]@h.example/x',
      when: '1970-01-01T00:00:00.000Z',
      never: null,
      map: { api_key: '[redacted]' },
      set: [1],
      bytes: '[5 bytes]',
      id: '9223372036854775808',
    });
  });

  test('ends on a value that holds itself', () => {
    const loop: Record<string, unknown> = { name: 'loop' };
    loop.self = loop;
    expect(JSON.stringify(redactValue(loop))).toContain('[...]');
  });

  test('no secret survives anywhere in any value', () => {
    const secret = fc.constantFrom(JWT, 'sb_secret_unique4711', 'https://user:unique4711@host/');
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        secret,
        fc.jsonValue(),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie('node'), { maxKeys: 3 }),
        secret.map((text) => new Error(text)),
      ),
    })).node;
    fc.assert(
      fc.property(tree, (value) => {
        expect(JSON.stringify({ value: redactValue(value) })).not.toMatch(/unique4711|c2lnbmF0dXJl/);
      }),
    );
  });
});
