import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { InputError } from '../../src/base/errors.ts';
import { EMBEDDING_INPUT_JSON_SCHEMA, parseEmbeddingInput } from '../../src/embedding/input.ts';
import { EMBEDDING_JOBS, readJob } from '../support/job-files.ts';

const jobs = EMBEDDING_JOBS.map(readJob);

type Outcome = { parsed: unknown } | { error: string };

function outcomeOf(value: unknown): Outcome {
  try {
    return { parsed: parseEmbeddingInput(value) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { error: error.message };
  }
}

/** Every place of a job where a value can stand, as paths. */
function placesOf(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (value === null || typeof value !== 'object') return [path];
  const below = Array.isArray(value)
    ? value.flatMap((item, i) => placesOf(item, [...path, i]))
    : Object.entries(value).flatMap(([key, item]) => placesOf(item, [...path, key]));
  return [path, ...below];
}

function replaceAt(value: unknown, path: readonly (string | number)[], replacement: unknown): unknown {
  const [head, ...rest] = path;
  if (head === undefined) return replacement;
  if (Array.isArray(value))
    return value.map((item: unknown, i) => (i === head ? replaceAt(item, rest, replacement) : item));
  const object = value as Record<string, unknown>;
  return { ...object, [head]: replaceAt(object[head], rest, replacement) };
}

/** A real job with one value replaced. */
const brokenJob = fc
  .constantFrom(...jobs)
  .chain((job) => fc.tuple(fc.constant(job), fc.constantFrom(...placesOf(job)), fc.jsonValue()))
  .map(([job, path, value]) => replaceAt(job, path, value));

test('any JSON value either parses or is an InputError', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => void outcomeOf(value)),
    { numRuns: 500 },
  );
});

test('a job with any one value replaced either parses or is an InputError', () => {
  fc.assert(
    fc.property(brokenJob, (value) => void outcomeOf(value)),
    { numRuns: 1_000 },
  );
});

test('anything that JavaScript can hold under the known keys either parses or is an InputError', () => {
  const keys = Object.keys(EMBEDDING_INPUT_JSON_SCHEMA.properties as object);
  const anything = fc.anything({
    withBigInt: true,
    withMap: true,
    withSet: true,
    withDate: true,
    withTypedArray: true,
  });
  const job = fc.dictionary(fc.constantFrom(...keys, '__proto__', 'constructor'), anything, { maxKeys: 5 });
  fc.assert(
    fc.property(job, (value) => void outcomeOf(value)),
    { numRuns: 500 },
  );
});

/** The value with null keys added to every object that is keyed by name, and none taken away. */
function withNulls(value: unknown, keys: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => withNulls(item, keys));
  if (value === null || typeof value !== 'object') return value;
  const nulls = Object.fromEntries(
    keys.filter((key) => !Object.hasOwn(value, key)).map((key) => [key, null]),
  );
  return {
    ...nulls,
    ...Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withNulls(item, keys)])),
  };
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === null ? [] : [[key, withoutNulls(item)]])),
  );
}

const keyName = fc.oneof(
  fc.constantFrom(
    'job_id',
    'images',
    'checkpoint_url',
    'source_config',
    'filters',
    'product_ids',
    'metadata',
    'collection',
  ),
  fc.string(),
);

test('a null is the same as no key, wherever it stands', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.constantFrom(...jobs), brokenJob),
      fc.array(keyName, { maxLength: 5 }),
      (job, keys) => {
        const bare = withoutNulls(job);
        expect(outcomeOf(withNulls(bare, keys))).toEqual(outcomeOf(bare));
        expect(outcomeOf(job)).toEqual(outcomeOf(bare));
      },
    ),
    { numRuns: 500 },
  );
});

test('no error holds the value of a secret', () => {
  const secrets = ['supabase_service_key', 'qdrant_api_key', 'hf_token'];
  const mark = 'unique4711';
  const secret = fc.oneof(
    fc.string().map((text) => `${text}${mark}`),
    fc.constant(`sb_secret_${mark}`),
    fc.constant([mark]),
    fc.constant({ [mark]: mark }),
  );
  fc.assert(
    fc.property(brokenJob, fc.constantFrom(...secrets), secret, (job, key, value) => {
      const base = job !== null && typeof job === 'object' && !Array.isArray(job) ? job : {};
      const outcome = outcomeOf({ ...base, [key]: value });
      if ('error' in outcome) expect(outcome.error).not.toContain(mark);
    }),
    { numRuns: 500 },
  );
});

test('a secret that stands under another key is hidden as well, where its form tells it', () => {
  for (const secret of ['sb_secret_unique4711', 'eyJhbGciOiJIUzI1NiJ9.unique4711.unique4711']) {
    for (const key of ['model_type', 'purpose', secret]) {
      const outcome = outcomeOf({ [key]: secret, images: { [secret]: 1 } });
      expect(outcome).toHaveProperty('error');
      expect(JSON.stringify(outcome)).not.toContain('unique4711');
    }
  }
});
