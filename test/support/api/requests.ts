import fc from 'fast-check';

import type { Lookup, ModelRow } from '../../../src/api/index.ts';
import type { CombinedRequest, MatchingRequest, Purpose } from '../../../src/api/requests/extraction.ts';
import { MODEL_TYPES } from '../../../src/model/catalogue.ts';

export const MODEL: ModelRow = {
  id: 'c6c7a4bc-d9d0-5678-a1d9-b4086b0c5254',
  name: 'DINOv2 base',
  model_type: 'dinov2-base',
  embedding_dim: 768,
  checkpoint_url: null,
};
export const DATASET_ID = 'b5b5fb4a-2868-5ed7-9573-c33230db4be2';
export const LABELLED_ID = '5caf2288-a7d3-58a2-9c4a-9ce12dc6b856';

/** A world in which everything is there, and every collection has the size that is asked for. */
export function everything(changes: Partial<Lookup> = {}): Lookup {
  return {
    model: (id) => Promise.resolve({ ...MODEL, id }),
    activeModels: () => Promise.resolve([MODEL]),
    dataset: () => Promise.resolve({ name: 'Shelf A' }),
    labelledDataset: () => Promise.resolve({ name: 'Drinks', task_type: 'single_label', classes: 5 }),
    collection: () => Promise.resolve(null),
    ...changes,
  };
}

const name = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9_. -]{0,20}$/);
/** What a database can hold. */
const text = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 12 })
  .filter((t) => !t.includes('\0') && t.isWellFormed());
const uuid = fc.uuid().map((id) => (id.charCodeAt(0) % 2 === 0 ? id.toUpperCase() : id));
const column = fc.stringMatching(/^[a-z]{1,6}$/);
const condition = fc.oneof(
  fc.tuple(
    column,
    fc.oneof(
      text,
      fc.integer(),
      fc.boolean(),
      fc.array(fc.oneof(text, fc.integer()), { minLength: 1, maxLength: 3 }),
    ),
  ),
  fc.tuple(
    column.map((c) => `${c}_gte`),
    fc.oneof(text, fc.integer()),
  ),
  fc.tuple(
    column.map((c) => `${c}_is_null`),
    fc.boolean(),
  ),
);

type Fields<R> = { [K in keyof Required<R>]: fc.Arbitrary<unknown> };
type Common = Omit<CombinedRequest, 'purpose' | 'collection_name'>;

/** A field of a request that has no values here is an error of the compiler. */
const COMMON: Fields<Common> = {
  model: fc.oneof(
    fc.constant({ active: true }),
    uuid.map((id) => ({ id })),
    fc.record(
      {
        model_type: fc.constantFrom(...MODEL_TYPES),
        embedding_dim: fc.integer({ min: 1, max: 65_536 }),
        checkpoint_url: name.map((n) => `models/${n.trim()}.onnx`),
        name: text,
        id: uuid,
      },
      { requiredKeys: ['model_type', 'embedding_dim'] },
    ),
  ),
  source: fc.constantFrom('both', 'products', 'cutouts'),
  product_source: fc.constantFrom('all', 'matched', 'new', 'selected', 'dataset', 'filter'),
  product_ids: fc.array(uuid, { minLength: 1, maxLength: 5 }),
  product_dataset_id: uuid,
  product_filter: fc.array(condition, { minLength: 1, maxLength: 3 }).map(Object.fromEntries),
  image_types: fc.subarray(['synthetic', 'real', 'augmented']),
  frame_selection: fc.constantFrom('first', 'key_frames', 'interval', 'all'),
  max_frames: fc.integer({ min: 1, max: 1_000 }),
  frame_interval: fc.integer({ min: 1, max: 1_000 }),
  include_matched_cutouts: fc.boolean(),
  cutout_has_embedding: fc.boolean(),
  cutout_filter_has_upc: fc.boolean(),
  cutout_merchant_names: fc.array(text, { maxLength: 3 }),
  cutout_merchant_ids: fc.array(fc.integer({ min: -5, max: 1_000_000 }), { maxLength: 3 }),
  collection_mode: fc.constantFrom('create', 'append', 'replace'),
  keep_replaced: fc.boolean(),
  max_failed_share: fc.double({ min: 0, max: 1, noNaN: true }),
  append_trust_points: fc.boolean(),
  allow_mixed_models: fc.boolean(),
  batch_size: fc.integer({ min: 1, max: 1_024 }),
  shards: fc.integer({ min: 1, max: 500 }),
  images_per_shard: fc.integer({ min: 1 }),
};
const MATCHING: Fields<Omit<MatchingRequest, 'purpose'>> = {
  ...COMMON,
  product_collection: name,
  cutout_collection: name,
};
const COMBINED: Fields<Omit<CombinedRequest, 'purpose'>> = { ...COMMON, collection_name: name };

type Body = Record<string, unknown>;

const DEFAULTS: Readonly<Record<Purpose, { source: string; product_source: string; matched: boolean }>> = {
  matching: { source: 'both', product_source: 'all', matched: false },
  training: { source: 'both', product_source: 'matched', matched: true },
  evaluation: { source: 'products', product_source: 'dataset', matched: false },
  production: { source: 'products', product_source: 'all', matched: false },
};
const SELECTORS = { selected: 'product_ids', dataset: 'product_dataset_id', filter: 'product_filter' };
const CUTOUT_FIELDS = [
  'cutout_has_embedding',
  'cutout_filter_has_upc',
  'cutout_merchant_names',
  'cutout_merchant_ids',
  'cutout_collection',
];

/** Any request of this purpose that makes sense, with any of its fields. */
export function anyRequest(purpose: Purpose): fc.Arbitrary<Body> {
  const fields: Record<string, fc.Arbitrary<unknown>> = purpose === 'matching' ? MATCHING : COMBINED;
  const all = fc.record<Body>(fields);
  const left = fc.subarray(Object.keys(fields));
  return fc.tuple(all, left).map(([full, leave]) => {
    const body = Object.fromEntries(Object.entries(full).filter(([key]) => !leave.includes(key)));
    const fallback = DEFAULTS[purpose];
    const source = body.source ?? fallback.source;
    const productSource = (body.product_source ?? fallback.product_source) as string;
    const readsProducts = source !== 'cutouts' || (body.include_matched_cutouts ?? fallback.matched);
    const unread = Object.entries(SELECTORS)
      .filter(([of]) => readsProducts !== true || of !== productSource)
      .map(([, key]) => key);
    if (source === 'products') unread.push(...CUTOUT_FIELDS);
    if (source === 'cutouts') unread.push('product_collection');
    const mode = body.collection_mode ?? 'create';
    if (mode !== 'replace') unread.push('keep_replaced');
    if (mode === 'append') unread.push('max_failed_share');
    if (body.shards !== undefined) unread.push('images_per_shard');
    const needed = readsProducts === true ? SELECTORS[productSource as keyof typeof SELECTORS] : undefined;
    const needs = needed === undefined ? {} : { [needed]: full[needed] };
    return Object.fromEntries(Object.entries({ ...body, ...needs }).filter(([key]) => !unread.includes(key)));
  });
}
