import { describe, expect, test } from '@jest/globals';

import { CLASSIFICATION_EXAMPLES, EXTRACTION_EXAMPLES } from '../../src/api/http/routes/examples.ts';
import { CLASSIFICATION_REQUEST, EXTRACTION_REQUESTS, type Purpose } from '../../src/api/index.ts';
import { InputError } from '../../src/base/errors.ts';
import { DATASET_ID, LABELLED_ID } from '../support/api/requests.ts';

const { matching, training, evaluation, production } = EXTRACTION_REQUESTS;

/** What is wrong, by key. */
function issuesOf(run: () => unknown): Record<string, string> {
  try {
    run();
  } catch (error) {
    if (error instanceof InputError)
      return Object.fromEntries(error.issues.map(({ key, message }) => [key, message]));
    throw error;
  }
  return {};
}

describe('a request that does not say what it means is refused, by the name of the field', () => {
  test.each([
    ['selected without ids', { product_source: 'selected' }, 'product_ids', 'as product_source is selected'],
    ['selected with no ids', { product_source: 'selected', product_ids: [] }, 'product_ids', 'at least one'],
    ['dataset without a dataset', { product_source: 'dataset' }, 'product_dataset_id', 'expected a uuid'],
    ['filter without a column', { product_source: 'filter' }, 'product_filter', 'at least one column'],
    [
      'matched cutouts of selected',
      { source: 'cutouts', include_matched_cutouts: true, product_source: 'selected' },
      'product_ids',
      'at least one',
    ],
    [
      'ids that are no ids',
      { product_source: 'selected', product_ids: ['7'] },
      'product_ids[0]',
      'expected a uuid',
    ],
    [
      'an operator without sense',
      { product_source: 'filter', product_filter: { a_is_null: 1 } },
      'product_filter.a_is_null',
      'expected true or false',
    ],
    [
      'a torch checkpoint',
      { model: { model_type: 'dinov2-base', embedding_dim: 768, checkpoint_url: 'a/best.pth' } },
      'model.checkpoint_url',
      'torch checkpoint',
    ],
    [
      'a checkpoint of no kind',
      { model: { checkpoint_url: 'a/best.onnx' } },
      'model.model_type',
      'is missing',
    ],
    [
      'a checkpoint of no length',
      { model: { model_type: 'dinov2-base', checkpoint_url: 'a.onnx' } },
      'model.embedding_dim',
      'is missing',
    ],
    ['two models', { model: { active: true, id: DATASET_ID } }, 'model.active', 'beside id'],
    [
      'a length for a row',
      { model: { id: DATASET_ID, embedding_dim: 3 } },
      'model.embedding_dim',
      'leave it out',
    ],
    ['another purpose', { purpose: 'training' }, 'purpose', 'expected matching'],
  ])('%s', (_, body, key, message) => {
    expect(issuesOf(() => matching.parse(body))).toEqual({ [key]: expect.stringContaining(message) });
  });

  test('an evaluation needs its dataset, as that is what is evaluated', () => {
    expect(Object.keys(issuesOf(() => evaluation.parse({})))).toEqual(['product_dataset_id']);
  });
});

describe('nothing is left out in silence', () => {
  test.each([
    ['an unknown field', { colour: 'red' }, 'colour'],
    ['a misspelt field of the model', { model: { ident: DATASET_ID } }, 'model.ident'],
    ['ids for all products', { product_ids: [DATASET_ID] }, 'product_ids'],
    [
      'a dataset for matched products',
      { product_source: 'matched', product_dataset_id: DATASET_ID },
      'product_dataset_id',
    ],
    ['a filter for cutouts alone', { source: 'cutouts', product_filter: { a: 1 } }, 'product_filter'],
    [
      'a merchant for products alone',
      { source: 'products', cutout_merchant_ids: [1] },
      'cutout_merchant_ids',
    ],
    [
      'cutouts with a UPC where none are read',
      { source: 'products', cutout_filter_has_upc: true },
      'cutout_filter_has_upc',
    ],
    [
      'new cutouts where none are read',
      { source: 'products', cutout_has_embedding: false },
      'cutout_has_embedding',
    ],
    [
      'a collection that nothing goes to',
      { source: 'products', cutout_collection: 'x' },
      'cutout_collection',
    ],
  ])('%s', (_, body, key) => {
    expect(Object.keys(issuesOf(() => matching.parse(body)))).toEqual([key]);
  });

  test('a misspelt setting of a training run is refused, however deep', () => {
    const body = {
      dataset_id: LABELLED_ID,
      config: { learning_rte: 1, data_loading: { preload: { batchsize: 1 } } },
    };
    expect(Object.keys(issuesOf(() => CLASSIFICATION_REQUEST.parse(body)))).toEqual([
      'config.learning_rte',
      'config.data_loading.preload.batchsize',
    ]);
  });

  test('unknown fields and wrong values are told at once', () => {
    const body = { colour: 'red', max_frames: 0 };
    expect(Object.keys(issuesOf(() => matching.parse(body))).toSorted()).toEqual(['colour', 'max_frames']);
  });
});

test('null is absent, at every depth, as pages send it', () => {
  const nulls = { model: { id: DATASET_ID, name: null }, product_ids: null, colour: null, batch_size: null };
  expect(matching.parse(nulls)).toEqual(matching.parse({ model: { id: DATASET_ID } }));
});

test('what a database cannot hold is refused where it comes in', () => {
  const body = {
    cutout_merchant_names: ['a\0b', '\ud800'],
    product_source: 'filter',
    product_filter: { a: 'x\0' },
  };
  expect(Object.keys(issuesOf(() => matching.parse(body)))).toEqual([
    'product_filter.a',
    'cutout_merchant_names[0]',
    'cutout_merchant_names[1]',
  ]);
});

test('each purpose has its own defaults', () => {
  const of = ({ source, product_source, include_matched_cutouts }: Record<string, unknown>): unknown[] => [
    source,
    product_source,
    include_matched_cutouts,
  ];
  expect(of(matching.parse({}))).toEqual(['both', 'all', false]);
  expect(of(training.parse({}))).toEqual(['both', 'matched', true]);
  expect(of(evaluation.parse({ product_dataset_id: DATASET_ID }))).toEqual(['products', 'dataset', false]);
  expect(of(production.parse({}))).toEqual(['products', 'all', false]);
  expect(matching.parse({}).collection_mode).toBe('create');
});

test.each([1, 'x', [], null, undefined])('a request that is no object: %p', (value) => {
  expect(issuesOf(() => matching.parse(value))).toEqual({
    request: expect.stringContaining('expected an object'),
  });
});

test('a schema names every field with a description, and takes no other', () => {
  for (const { jsonSchema } of [...Object.values(EXTRACTION_REQUESTS), CLASSIFICATION_REQUEST]) {
    const { properties, additionalProperties } = jsonSchema as {
      properties: Record<string, { description?: string }>;
      additionalProperties: unknown;
    };
    expect(additionalProperties).toBe(false);
    expect(Object.entries(properties).filter(([, { description }]) => description === undefined)).toEqual([]);
  }
});

test('every example of the document is a request', () => {
  for (const [purpose, examples] of Object.entries(EXTRACTION_EXAMPLES)) {
    for (const { value } of Object.values(examples))
      expect(issuesOf(() => EXTRACTION_REQUESTS[purpose as Purpose].parse(value))).toEqual({});
  }
  for (const { value } of Object.values(CLASSIFICATION_EXAMPLES))
    expect(issuesOf(() => CLASSIFICATION_REQUEST.parse(value))).toEqual({});
});
