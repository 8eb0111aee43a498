import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { createLookup, EXTRACTION_REQUESTS, planExtraction, type Lookup } from '../../src/api/index.ts';
import { StoreError } from '../../src/base/errors.ts';
import { testQdrant, type TestQdrant } from '../support/qdrant.ts';
import { testSupabase, type TestSupabase } from '../support/supabase.ts';

const MODEL_ID = randomUUID();
const DATASET_ID = randomUUID();
const LABELLED_ID = randomUUID();

let supabase: TestSupabase;
let qdrant: TestQdrant;
let lookup: Lookup;

beforeAll(async () => {
  [supabase, qdrant] = await Promise.all([testSupabase(), testQdrant()]);
  lookup = createLookup({ database: supabase.database, store: qdrant.store });
  await supabase.sql(
    `insert into embedding_models (id, name, model_type, embedding_dim, checkpoint_url, is_matching_active)
     values ($1, 'Demo', 'demo', 48, null, true), (gen_random_uuid(), 'Other', 'demo', 48, 'a/b.onnx', false)`,
    [MODEL_ID],
  );
  await supabase.sql(`insert into datasets (id, name) values ($1, 'Shelf A')`, [DATASET_ID]);
  await supabase.sql(`insert into cls_datasets (id, name, task_type) values ($1, 'Drinks', 'single_label')`, [
    LABELLED_ID,
  ]);
  await supabase.sql(
    `insert into cls_classes (dataset_id, name, is_active)
     values ($1, 'cola', true), ($1, 'water', true), ($1, 'gone', false)`,
    [LABELLED_ID],
  );
  await qdrant.store.ensure('products_demo', 48);
});

afterAll(async () => {
  await Promise.all([supabase.close(), qdrant.close()]);
});

test('finds what is there', async () => {
  const row = { id: MODEL_ID, name: 'Demo', model_type: 'demo', embedding_dim: 48, checkpoint_url: null };
  expect(await lookup.model(MODEL_ID)).toEqual(row);
  expect(await lookup.activeModels()).toEqual([row]);
  expect(await lookup.dataset(DATASET_ID)).toEqual({ name: 'Shelf A' });
  expect(await lookup.labelledDataset(LABELLED_ID)).toEqual({
    name: 'Drinks',
    task_type: 'single_label',
    classes: 2,
  });
  expect(await lookup.collection('products_demo')).toMatchObject({ size: 48 });
});

test('says what is not', async () => {
  expect(await lookup.model(DATASET_ID)).toBeUndefined();
  expect(await lookup.dataset(MODEL_ID)).toBeUndefined();
  expect(await lookup.labelledDataset(MODEL_ID)).toBeUndefined();
  expect(await lookup.collection('nothing')).toBeNull();
});

test('a request is planned against the stores themselves', async () => {
  const request = EXTRACTION_REQUESTS.matching.parse({ collection_mode: 'append', source: 'products' });
  const plan = await planExtraction(request, { lookup });
  expect(plan.collections).toEqual(['products_demo']);
  expect(plan.model.id).toBe(MODEL_ID);
});

test('a store that does not answer is no word on whether something exists', async () => {
  const stop = AbortSignal.abort(new Error('stopped'));
  const stopped = createLookup({ database: supabase.database, store: qdrant.store }, stop);
  await expect(stopped.collection('products_demo')).rejects.toThrow('stopped');
  const { createVectorStore } = await import('../../src/qdrant/store.ts');
  const away = createVectorStore({ url: 'http://127.0.0.1:9', patienceMs: 0 });
  const unreachable = createLookup({ database: supabase.database, store: away });
  await expect(unreachable.collection('products_demo')).rejects.toBeInstanceOf(StoreError);
});
