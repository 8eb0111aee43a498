import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { optionalSupabase, resolveCredentials } from '../../src/base/credentials.ts';
import { InputError } from '../../src/base/errors.ts';

const INPUT = {
  supabase_url: 'https://supabase.input',
  supabase_service_key: 'input-key',
  qdrant_url: 'https://qdrant.input',
  qdrant_api_key: 'input-key',
  hf_token: 'input-token',
};
const ENVIRONMENT = {
  SUPABASE_URL: 'https://supabase.environment',
  SUPABASE_SERVICE_ROLE_KEY: 'environment-key',
  QDRANT_URL: 'https://qdrant.environment',
  QDRANT_API_KEY: 'environment-key',
  HF_TOKEN: 'environment-token',
};

function issuesOf(input: object, settings: object): string[] {
  try {
    resolveCredentials(input, settings);
  } catch (error) {
    if (error instanceof InputError) return error.issues.map(({ key, message }) => `${key}: ${message}`);
    throw error;
  }
  return [];
}

describe('resolveCredentials', () => {
  test('takes the input first', () => {
    expect(resolveCredentials(INPUT, ENVIRONMENT)).toEqual({
      supabase: { url: 'https://supabase.input', key: 'input-key' },
      qdrant: { url: 'https://qdrant.input', apiKey: 'input-key' },
      hfToken: 'input-token',
    });
  });

  test('and the environment otherwise', () => {
    expect(resolveCredentials({}, ENVIRONMENT)).toEqual({
      supabase: { url: 'https://supabase.environment', key: 'environment-key' },
      qdrant: { url: 'https://qdrant.environment', apiKey: 'environment-key' },
      hfToken: 'environment-token',
    });
  });

  test('each store by itself', () => {
    const { supabase_url, supabase_service_key } = INPUT;
    const { supabase, qdrant } = resolveCredentials({ supabase_url, supabase_service_key }, ENVIRONMENT);
    expect([supabase.key, qdrant.apiKey]).toEqual(['input-key', 'environment-key']);
  });

  test('a Qdrant without a key: none in the environment, or an empty one in the input', () => {
    const { QDRANT_URL, SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY } = ENVIRONMENT;
    const environment = { QDRANT_URL, SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY };
    expect(resolveCredentials({}, environment).qdrant).toEqual({ url: QDRANT_URL });
    const bare = { qdrant_url: 'http://localhost:6333' };
    for (const input of [bare, { ...bare, qdrant_api_key: '' }]) {
      expect(resolveCredentials(input, ENVIRONMENT).qdrant).toEqual({ url: 'http://localhost:6333' });
    }
  });

  test('names what to set, of both stores at once', () => {
    expect(issuesOf({}, {})).toEqual([
      expect.stringMatching(
        /^supabase_url: .*supabase_service_key.*SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY/,
      ),
      expect.stringMatching(/^qdrant_url: .*qdrant_api_key.*QDRANT_URL and QDRANT_API_KEY/),
    ]);
  });

  test('half a pair of the environment is an error that names the other half', () => {
    const { SUPABASE_URL, SUPABASE_SERVICE_ROLE_KEY, ...rest } = ENVIRONMENT;
    expect(issuesOf({}, { ...rest, SUPABASE_URL })).toEqual([
      expect.stringMatching(/^SUPABASE_SERVICE_ROLE_KEY: /),
    ]);
    expect(issuesOf({}, { ...rest, SUPABASE_SERVICE_ROLE_KEY })).toEqual([
      expect.stringMatching(/^SUPABASE_URL: /),
    ]);
    expect(issuesOf({}, { ...ENVIRONMENT, QDRANT_URL: undefined })).toEqual([
      expect.stringMatching(/^QDRANT_URL: /),
    ]);
  });

  test('an address and its key never come from two sources, and no error holds a key', () => {
    const some = <T extends object>(of: T) =>
      fc.subarray(Object.entries(of)).map((entries) => Object.fromEntries(entries) as Partial<T>);
    fc.assert(
      fc.property(some(INPUT), some(ENVIRONMENT), (input, settings) => {
        let found;
        try {
          found = resolveCredentials(input, settings);
        } catch (error) {
          expect((error as InputError).message).not.toMatch(/(?:input|environment)-(?:key|token)/);
          return;
        }
        for (const [{ url }, key] of [
          [found.supabase, found.supabase.key],
          [found.qdrant, found.qdrant.apiKey],
        ] as const) {
          expect([undefined, `${url.slice(url.lastIndexOf('.') + 1)}-key`]).toContain(key);
        }
      }),
    );
  });
});

describe('optionalSupabase', () => {
  test('is undefined where nothing is set up', () => {
    expect(optionalSupabase({}, {})).toBeUndefined();
    expect(optionalSupabase({}, ENVIRONMENT)).toEqual({
      url: 'https://supabase.environment',
      key: 'environment-key',
    });
  });

  test('never mixes sources', () => {
    expect(optionalSupabase({ supabase_url: 'https://attacker.example' }, ENVIRONMENT)).toBeUndefined();
  });
});
