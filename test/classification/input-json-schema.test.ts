import { readFileSync } from 'node:fs';

import { expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';

import { CLASSIFICATION_INPUT_JSON_SCHEMA } from '../../src/classification/input.ts';
import { readJob, TRAINING_JOBS } from '../support/job-files.ts';

const PUBLISHED = JSON.parse(
  readFileSync(new URL('../../schemas/classification-input.json', import.meta.url), 'utf8'),
) as Record<string, unknown>;

const validate = new Ajv2020({
  strict: true,
  allowUnionTypes: true,
  formats: { uuid: true, uri: true },
}).compile(PUBLISHED);

test('the published file is what the code says; else run: node scripts/write-schemas.ts', () => {
  expect(PUBLISHED).toEqual(JSON.parse(JSON.stringify(CLASSIFICATION_INPUT_JSON_SCHEMA)));
});

test.each(TRAINING_JOBS)('%s is valid', (name) => {
  validate(readJob(name));
  expect(validate.errors).toBeNull();
});

test.each<[string, unknown]>([
  ['a word for a number', { epochs: '10' }],
  ['an unknown model', { model_name: 'resnet18' }],
  ['too many workers', { data_loading: { preload: { max_workers: 65 } } }],
  ['too short a time-out', { preload_config: { http_timeout: 1 } }],
])('%s is not', (_, config) => {
  expect(validate({ training_run_id: '83634220-d1f9-5e06-ac5c-e4b104a422ba', config })).toBe(false);
});
