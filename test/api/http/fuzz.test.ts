import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { CLASSIFICATION_REQUEST, EXTRACTION_REQUESTS, type Purpose } from '../../../src/api/index.ts';
import { RUN_KIND_NAMES } from '../../../src/api/runs/run-kinds.ts';
import { webhookSignature } from '../../../src/api/runs/webhook-signature.ts';
import { anyRequest } from '../../support/api/requests.ts';
import { fromSchema, type FuzzOptions } from '../../support/api/from-schema.ts';
import { scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { addRun } from '../../support/api/runs.ts';
import { startTestApi, WEBHOOK_SECRET, type TestApi } from '../../support/api/test-api.ts';
import type { Operation } from '../../support/api/openapi-client.ts';
import { testQdrant, type TestQdrant } from '../../support/qdrant.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

const RUNS = 60;

let supabase: TestSupabase;
let qdrant: TestQdrant;
let runpod: ScriptedRunPod;
let api: TestApi;
let options: FuzzOptions;
let runIds: string[];

beforeAll(async () => {
  [supabase, qdrant, runpod] = await Promise.all([testSupabase(), testQdrant(), scriptedRunPod()]);
  const [model, dataset, labelled, cutout] = Array.from({ length: 4 }, () => randomUUID());
  await supabase.sql(
    `insert into embedding_models (id, name, model_type, embedding_dim, is_matching_active) values ($1, 'Demo', 'demo', 3, true)`,
    [model],
  );
  await supabase.sql(`insert into datasets (id, name) values ($1, 'Shelf')`, [dataset]);
  await supabase.sql(`insert into cls_datasets (id, name) values ($1, 'Drinks')`, [labelled]);
  await supabase.sql(`insert into cls_classes (dataset_id, name) values ($1, 'cola'), ($1, 'water')`, [
    labelled,
  ]);
  await supabase.sql(
    `insert into cutout_images (id, external_id, image_url, qdrant_point_id) values ($1, 1, 'https://a.invalid', $1)`,
    [cutout],
  );
  await supabase.sql(
    `insert into embedding_collections (name, collection_type, embedding_model_id, cutout_collection) values ('c', 'matching', $1, 'c')`,
    [model],
  );
  await qdrant.store.ensure('c', 3);
  await qdrant.store.upsert('c', [
    { id: cutout ?? '', vector: Float32Array.of(1, 0, 0), payload: { model: 'm' } },
  ]);
  runIds = [
    await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' }),
    await addRun(supabase, 'classification', { status: 'training', runpod_job_id: 'j' }),
  ];
  runpod.jobs.set('j', { id: 'j', status: 'IN_PROGRESS' });
  api = await startTestApi({
    supabase,
    qdrant,
    runpod: runpod.url,
    runStateless: (input) =>
      Promise.resolve(
        JSON.stringify(input).length % 2 === 0
          ? { embeddings: [{ vector: [1, 0, 0] }], model: 'm' }
          : { embeddings: [], error: 'not an image' },
      ),
  });
  options = {
    schemas: api.document.components.schemas,
    known: [
      model,
      dataset,
      labelled,
      cutout,
      ...runIds,
      'c',
      'c',
      'c',
      'j',
      '2026-01-01',
      'https://a.invalid/b.onnx',
    ].map(String),
  };
}, 120_000);
afterAll(async () => {
  await api.close();
  await Promise.all([supabase.close(), qdrant.close(), runpod[Symbol.asyncDispose]()]);
});

/** Requests that make sense, for what is behind the checks. */
function senseFor(operationId: string): fc.Arbitrary<unknown>[] {
  const purposes = Object.keys(EXTRACTION_REQUESTS) as Purpose[];
  const purpose = purposes.find((one) => operationId.toLowerCase() === `submit${one}`);
  return purpose === undefined ? [] : [anyRequest(purpose)];
}

/** What an address can carry, and no client would make another address of. */
const forAddress = (value: unknown): unknown => {
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed();
  return ['', '.', '..'].includes(text) ? '_' : text;
};

function inputsFor({
  operationId,
  parameters,
  body,
}: Operation): fc.Arbitrary<{ parameters: Record<string, unknown>; body: unknown }> {
  const each = Object.fromEntries(
    parameters.map(({ name, schema }) => [name, fromSchema(schema, options).map(forAddress)]),
  );
  const requiredKeys = parameters.filter(({ required }) => required).map(({ name }) => name);
  const content =
    body === undefined
      ? fc.constant(undefined)
      : body.schema === undefined
        ? fc.uint8Array({ maxLength: 50 })
        : fc.oneof(fromSchema(body.schema, options), ...senseFor(operationId));
  return fc.record({ parameters: fc.record<Record<string, unknown>>(each, { requiredKeys }), body: content });
}

test('the document has operations to try', () => {
  expect(api.client.operations.length).toBeGreaterThan(15);
});

test.each([
  'submitMatching',
  'submitTraining',
  'submitEvaluation',
  'submitProduction',
  'submitClassification',
  'listJobs',
  'getJob',
  'cancelJob',
  'retryFailedImages',
  'listFailures',
  'listCollections',
  'getCollection',
  'searchByCutout',
  'searchByImage',
  'runpodWebhook',
  'isAlive',
  'isReady',
  'metrics',
])('%s answers anything as documented, and never by a fault of its own', async (operationId) => {
  const operation = api.client.operations.find((one) => one.operationId === operationId);
  if (operation === undefined) throw new TypeError(`no ${operationId}`);
  const isBare = operation.parameters.length === 0 && operation.body === undefined;
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(inputsFor(operation), fc.boolean(), async (input, isSigned) => {
      const { parameters } = input;
      if (operationId === 'runpodWebhook' && isSigned) {
        const [kind, id] = [String(parameters.kind), String(parameters.id).toLowerCase()];
        const isKind = RUN_KIND_NAMES.find((name) => name === kind);
        if (isKind !== undefined) parameters.signature = webhookSignature(WEBHOOK_SECRET, isKind, id);
      }
      const { status } = await api.client.call(operationId, input);
      statuses.add(status);
      expect(status).toBeLessThan(500);
    }),
    { numRuns: isBare ? 2 : RUNS },
  );
  // A fuzzer that is always refused tries nothing. (Of evaluations few name a dataset that there is.)
  if (senseFor(operationId).length > 0 && operationId !== 'submitEvaluation')
    expect([...statuses]).toContain(202);
  const faults = api
    .logged()
    .split('\n')
    .filter((line) => line.includes('A request failed'));
  expect(faults).toEqual([]);
});

test('every operation was tried', () => {
  const tried = new Set([...api.logged().matchAll(/"operation":"(\w+)"/g)].map(([, name]) => name));
  expect(api.client.operations.filter(({ operationId }) => !tried.has(operationId))).toEqual([]);
});

test('a request that its schema takes is refused for reasons between its fields alone', () => {
  const kinds = [...Object.values(EXTRACTION_REQUESTS), CLASSIFICATION_REQUEST];
  for (const { jsonSchema } of kinds)
    expect(jsonSchema).toMatchObject({ type: 'object', additionalProperties: false });
});
