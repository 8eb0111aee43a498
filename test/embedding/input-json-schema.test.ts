import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';

import { EMBEDDING_INPUT_JSON_SCHEMA } from '../../src/embedding/input.ts';
import { EMBEDDING_JOBS, readJob } from '../support/job-files.ts';

const read = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')) as unknown;

const PUBLISHED = read('schemas/embedding-input.json') as Record<string, unknown>;

/** Formats are told by patterns as well, where it matters. */
const validate = new Ajv2020({
  strict: true,
  allowUnionTypes: true,
  formats: { uuid: true, uri: true },
}).compile(PUBLISHED);

test('the published file is what the code says; else run: node scripts/write-schemas.ts', () => {
  expect(PUBLISHED).toEqual(JSON.parse(JSON.stringify(EMBEDDING_INPUT_JSON_SCHEMA)));
});

test('every key has a description', () => {
  const bare: string[] = [];
  const walk = (node: unknown, path: string): void => {
    if (node === null || typeof node !== 'object') return;
    for (const [key, child] of Object.entries(node)) {
      if (key !== 'properties') walk(child, path);
      else {
        for (const [name, schema] of Object.entries(child as Record<string, { description?: string }>)) {
          if (schema.description === undefined) bare.push(`${path}.${name}`);
          walk(schema, `${path}.${name}`);
        }
      }
    }
  };
  walk(PUBLISHED, '');
  expect(bare).toEqual([]);
});

describe('as a validator sees it', () => {
  const image = { id: 1, url: 'a.png', type: 'cutout' };

  test.each(EMBEDDING_JOBS)('%s is valid', (name) => {
    validate(readJob(name));
    expect(validate.errors).toBeNull();
  });

  test('null is allowed for every key that may be absent', () => {
    const nulls = (node: unknown): unknown =>
      Object.fromEntries(Object.keys((node as { properties: object }).properties).map((key) => [key, null]));
    const keyOf = (node: unknown, key: string): unknown =>
      (node as { properties: Record<string, { anyOf: unknown[] }> }).properties[key]?.anyOf[0];
    const source = keyOf(PUBLISHED, 'source_config');
    const filters = { ...(nulls(keyOf(source, 'filters')) as object), product_filter: { category: null } };
    const job = {
      ...(nulls(PUBLISHED) as object),
      source_config: { ...(nulls(source) as object), filters },
      images: [{ ...image, collection: null, metadata: null }],
    };
    validate(job);
    expect(validate.errors).toBeNull();
  });

  test.each<[string, unknown]>([
    ['a word for a number', { batch_size: '16' }],
    ['an unknown model', { model_type: 'dinov9' }],
    ['an id that is no uuid', { job_id: '12' }],
    ['an image without a url', { images: [{ ...image, url: null }] }],
    ['a torch checkpoint', { checkpoint_url: 'best.pth' }],
    ['a column that is none', { source_config: { filters: { product_filter: { 'a;b': 1 } } } }],
    ['no object', 'text'],
  ])('%s is not', (_, value) => {
    expect(validate(value)).toBe(false);
  });

  test('unknown keys are', () => {
    expect(validate({ images: [{ ...image, note: 1 }], priority: 3, source_config: { extra: {} } })).toBe(
      true,
    );
  });
});
