import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { webhookSignature } from '../../../src/api/runs/webhook-signature.ts';
import { scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { addRun, rowOf } from '../../support/api/runs.ts';
import { startTestApi, WEBHOOK_SECRET, type TestApi } from '../../support/api/test-api.ts';
import { testQdrant, type TestQdrant } from '../../support/qdrant.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

const MODEL_ID = randomUUID();
const DATASET_ID = randomUUID();
const LABELLED_ID = randomUUID();
const CUTOUT_ID = randomUUID();
const DIM = 3;
const MODEL = 'demo@1';

let supabase: TestSupabase;
let qdrant: TestQdrant;
let runpod: ScriptedRunPod;
let api: TestApi;

beforeAll(async () => {
  [supabase, qdrant] = await Promise.all([testSupabase(), testQdrant()]);
  await supabase.sql(
    `insert into embedding_models (id, name, model_type, embedding_dim, is_matching_active)
     values ($1, 'Demo', 'demo', ${DIM}, true)`,
    [MODEL_ID],
  );
  await supabase.sql(`insert into datasets (id, name) values ($1, 'Shelf')`, [DATASET_ID]);
  await supabase.sql(`insert into cls_datasets (id, name) values ($1, 'Drinks')`, [LABELLED_ID]);
  await supabase.sql(`insert into cls_classes (dataset_id, name) values ($1, 'cola'), ($1, 'water')`, [
    LABELLED_ID,
  ]);
  await supabase.sql(
    `insert into cutout_images (id, external_id, image_url, qdrant_point_id, has_embedding)
     values ($1, 1, 'https://a.invalid/1.jpg', $1, true)`,
    [CUTOUT_ID],
  );
  for (const name of ['products', 'cutouts', 'other_model', 'unmarked']) await qdrant.store.ensure(name, DIM);
  await qdrant.store.ensure('wide', 5);
  const point = (id: string | number, vector: number[], payload: Record<string, unknown>) => ({
    id,
    vector: Float32Array.from(vector),
    payload,
  });
  await qdrant.store.upsert('products', [
    point(1, [1, 0, 0], { source: 'product', product_id: 'near', model: MODEL }),
    point(2, [0, 1, 0], { source: 'product', product_id: 'far', model: MODEL }),
  ]);
  await qdrant.store.upsert('cutouts', [point(CUTOUT_ID, [0.9, 0.1, 0], { source: 'cutout', model: MODEL })]);
  await qdrant.store.upsert('other_model', [point(1, [1, 0, 0], { model: 'other@1' })]);
  await qdrant.store.upsert('unmarked', [point(1, [1, 0, 0], {})]);
  await supabase.sql(
    `insert into embedding_collections (name, collection_type, embedding_model_id, product_collection, cutout_collection)
     values ('products', 'matching', $1, 'products', 'cutouts'), ('unmarked', 'matching', null, null, null)`,
    [MODEL_ID],
  );
});
afterAll(async () => {
  await Promise.all([supabase.close(), qdrant.close()]);
});
beforeEach(async () => {
  runpod = await scriptedRunPod();
  api = await startTestApi({ supabase, qdrant, runpod: runpod.url });
});
afterEach(async () => {
  await api.close();
  await runpod[Symbol.asyncDispose]();
  await supabase.sql('delete from embedding_jobs');
  await supabase.sql('delete from cls_training_runs');
});

describe('submissions', () => {
  test.each<[string, Record<string, unknown>, string[]]>([
    [
      'submitMatching',
      { product_source: 'selected', product_ids: [DATASET_ID] },
      ['products_demo', 'cutouts_demo'],
    ],
    ['submitTraining', {}, ['training_demo']],
    ['submitEvaluation', { product_dataset_id: DATASET_ID }, ['evaluation_shelf_demo']],
    ['submitProduction', { model: { id: MODEL_ID } }, ['production_demo']],
    ['submitClassification', { dataset_id: LABELLED_ID, config: { epochs: 2 } }, []],
  ])('%s', async (operation, body, collections) => {
    const { status, headers, body: run } = await api.client.call(operation, { body });
    expect([status, run]).toMatchObject([202, { collections }]);
    const { id } = run as { id: string };
    expect(headers.get('location')).toBe(`/v1/jobs/${id}`);
    expect(await rowOf(supabase, id)).toMatchObject({ status: 'queued' });
    expect((await api.client.call('getJob', { parameters: { id } })).body).toMatchObject({
      id,
      status: 'queued',
      collections,
    });
  });

  test('are refused by the names of their fields', async () => {
    const { status, body } = await api.client.call('submitMatching', {
      body: { product_source: 'selected', colour: 1 },
    });
    expect(status).toBe(422);
    expect(body).toMatchObject({
      code: 'invalid_input',
      type: 'urn:gpu-handlers:problem:invalid_input',
      issues: [{ key: 'colour' }, { key: 'product_ids' }],
    });
    expect(runpod.requests).toEqual([]);
  });

  test('say when RunPod does not take them', async () => {
    runpod.answer = () => ({ status: 503 });
    const away = await api.client.call('submitTraining', { body: {} });
    expect([away.status, away.body]).toMatchObject([503, { code: 'runpod_unavailable' }]);
    expect(away.headers.get('retry-after')).not.toBeNull();
    runpod.answer = () => ({ status: 401 });
    const refused = await api.client.call('submitTraining', { body: {} });
    expect([refused.status, refused.body]).toMatchObject([502, { code: 'runpod_unauthorized' }]);
  });
});

describe('runs', () => {
  const idsOf = (body: unknown): string[] => (body as { items: { id: string }[] }).items.map(({ id }) => id);

  test('are listed from the newest on, page by page, both kinds, those of one moment too', async () => {
    const ids: string[] = [];
    for (const age of [10, 20, 30]) {
      ids.push(await addRun(supabase, 'embedding', { age }));
      ids.push(await addRun(supabase, 'classification', { age: age + 5 }));
    }
    const same = await Promise.all([1, 2, 3].map(() => addRun(supabase, 'embedding', { age: 100 })));
    await supabase.sql(`update embedding_jobs set created_at = '2026-01-01' where id = any($1)`, [same]);
    const listed: string[] = [];
    let cursor: unknown;
    do {
      const { body } = await api.client.call('listJobs', { parameters: { limit: 2, cursor } });
      listed.push(...idsOf(body));
      cursor = (body as { next_cursor: string | null }).next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(listed).toEqual([...ids, ...same.toSorted().toReversed()]);
    const { body } = await api.client.call('listJobs', {
      parameters: { kind: 'classification', status: 'queued' },
    });
    expect(idsOf(body)).toEqual([ids[1], ids[3], ids[5]]);
  });

  test('of which there is none', async () => {
    for (const operation of ['getJob', 'cancelJob', 'retryFailedImages', 'listFailures']) {
      const { status, body } = await api.client.call(operation, { parameters: { id: randomUUID() } });
      expect([operation, status, body]).toMatchObject([operation, 404, { code: 'run_not_found' }]);
    }
  });

  test('are cancelled, once', async () => {
    const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
    runpod.jobs.set('j', { id: 'j', status: 'IN_PROGRESS' });
    const { body } = await api.client.call('cancelJob', { parameters: { id } });
    expect(body).toEqual({ id, kind: 'embedding', status: 'cancelled', ended_at_runpod: true });
    const done = await addRun(supabase, 'embedding', { status: 'completed' });
    expect((await api.client.call('cancelJob', { parameters: { id: done } })).status).toBe(409);
  });

  test('show their failures, by code, and run again with them', async () => {
    const submitted = await api.client.call('submitTraining', { body: {} });
    const { id } = submitted.body as { id: string };
    await supabase.sql(`update embedding_jobs set status = 'completed' where id = $1`, [id]);
    expect((await api.client.call('retryFailedImages', { parameters: { id } })).body).toMatchObject({
      code: 'nothing_to_retry',
    });
    await supabase.sql(
      `insert into embedding_job_failures (job_id, collection, image_id, code, retryable)
       select $1, 'training_demo', 'image ' || n, case when n < 3 then 'http_404' else 'timeout' end, n >= 3
       from generate_series(1, 5) n`,
      [id],
    );
    const codes = async (parameters: Record<string, unknown>): Promise<unknown[]> => {
      const { body } = await api.client.call('listFailures', { parameters: { id, ...parameters } });
      return (body as { items: { code: string }[] }).items.map(({ code }) => code);
    };
    expect(await codes({})).toEqual(['http_404', 'http_404', 'timeout', 'timeout', 'timeout']);
    expect(await codes({ code: 'http_404' })).toHaveLength(2);
    expect(await codes({ retryable: true })).toHaveLength(3);
    const { body } = await api.client.call('listFailures', { parameters: { id, limit: 4 } });
    const { next_cursor: cursor } = body as { next_cursor: string };
    expect(await codes({ limit: 4, cursor })).toEqual(['timeout']);

    const unusable = await Promise.all([
      api.client.call('listFailures', { parameters: { id, code: 'http_404\0' } }),
      api.client.call('retryFailedImages', { parameters: { id, max_failed_share: '' } }),
    ]);
    expect(unusable.map(({ status: refused }) => refused)).toEqual([422, 422]);

    const { status, body: retry } = await api.client.call('retryFailedImages', { parameters: { id } });
    expect([status, retry]).toMatchObject([202, { collections: ['training_demo'] }]);
    expect(runpod.requests.at(-1)?.body).toMatchObject({ input: { retry_failed_of: id } });
    const foreign = await addRun(supabase, 'embedding', { status: 'completed' });
    await supabase.sql(
      `insert into embedding_job_failures (job_id, collection, image_id, code) values ($1, 'c', 'i', 'timeout')`,
      [foreign],
    );
    expect((await api.client.call('retryFailedImages', { parameters: { id: foreign } })).body).toMatchObject({
      code: 'not_submitted_here',
    });
  });
});

describe('collections', () => {
  test('are listed by name, and shown as the store has them', async () => {
    const { body } = await api.client.call('listCollections', { parameters: { limit: 1 } });
    expect(body).toMatchObject({ items: [{ name: 'products' }], next_cursor: expect.any(String) });
    const { next_cursor: cursor } = body as { next_cursor: string };
    expect(
      (await api.client.call('listCollections', { parameters: { limit: 5, cursor } })).body,
    ).toMatchObject({
      items: [{ name: 'unmarked' }],
      next_cursor: null,
    });
    const one = await api.client.call('getCollection', { parameters: { name: 'products' } });
    expect(one.body).toMatchObject({
      name: 'products',
      size: DIM,
      distance: 'Cosine',
      points: 2,
      products: 2,
      cutouts: 0,
    });
    expect((await api.client.call('getCollection', { parameters: { name: 'nothing' } })).status).toBe(404);
  });
});

describe('searches', () => {
  test('with a cutout find what is nearest', async () => {
    const { body } = await api.client.call('searchByCutout', {
      body: { collection: 'products', cutout_id: CUTOUT_ID, limit: 2 },
    });
    expect(body).toMatchObject({
      model: MODEL,
      results: [{ payload: { product_id: 'near' } }, { payload: { product_id: 'far' } }],
    });
  });

  test.each<[string, Record<string, unknown>, number, string]>([
    ['a collection that is not there', { collection: 'nothing' }, 404, 'collection_not_found'],
    ['a cutout that is not there', { cutout_id: MODEL_ID }, 404, 'cutout_not_found'],
    ['a cutout without a point', { cutout_collection: 'products' }, 409, 'cutout_not_embedded'],
    ['another model', { collection: 'other_model', cutout_collection: 'cutouts' }, 409, 'mixed_models'],
    ['vectors of another length', { collection: 'wide', cutout_collection: 'cutouts' }, 409, 'mixed_models'],
    ['no word on where the cutout is', { collection: 'unmarked' }, 422, 'invalid_input'],
  ])('refuse %s', async (_, changes, status, code) => {
    const body = { collection: 'products', cutout_id: CUTOUT_ID, ...changes };
    const answer = await api.client.call('searchByCutout', { body });
    expect([answer.status, answer.body]).toMatchObject([status, { code }]);
  });

  const image = new Uint8Array([1, 2, 3]);

  test('with an image ask the endpoint that embeds everything else', async () => {
    runpod.answer = ({ path }) =>
      path.startsWith('status/')
        ? {
            body: {
              id: 'job-1',
              status: 'COMPLETED',
              output: { embeddings: [{ vector: [0, 1, 0] }], model: MODEL },
            },
          }
        : undefined;
    const { body } = await api.client.call('searchByImage', {
      parameters: { collection: 'products', limit: 1 },
      body: image,
    });
    expect(body).toMatchObject({ collection: 'products', results: [{ payload: { product_id: 'far' } }] });
    expect(runpod.requests[0]?.body).toMatchObject({
      input: {
        images: [{ id: 'query', type: 'cutout', url: 'data:application/octet-stream;base64,AQID' }],
        model_type: 'demo',
        embedding_dim: DIM,
      },
    });
  });

  test.each<[string, unknown, string]>([
    [
      'is none',
      { embeddings: [], failed_images: [{ code: 'not_an_image', message: 'HTML' }], error: 'all failed' },
      'not_an_image: HTML',
    ],
    ['cannot be embedded', { error: 'gpu_required' }, 'gpu_required'],
  ])('with an image that %s say so', async (_, output, reason) => {
    const own = await startTestApi({
      supabase,
      qdrant,
      runpod: runpod.url,
      runStateless: () => Promise.resolve(output),
    });
    try {
      const answer = await own.client.call('searchByImage', {
        parameters: { collection: 'products' },
        body: image,
      });
      expect([answer.status, answer.body]).toMatchObject([
        422,
        { code: 'image_not_embedded', detail: expect.stringContaining(reason) },
      ]);
    } finally {
      await own.close();
    }
  });

  test('with an image need a model, and something that embeds', async () => {
    const unmarked = await api.client.call('searchByImage', {
      parameters: { collection: 'unmarked' },
      body: image,
    });
    expect([unmarked.status, unmarked.body]).toMatchObject([422, { issues: [{ key: 'model_id' }] }]);
    const bare = await startTestApi({
      supabase,
      qdrant,
      runpod: runpod.url,
      settings: { RUNPOD_ENDPOINT_EMBEDDING: '' },
    });
    try {
      const { status } = await bare.client.call('searchByImage', {
        parameters: { collection: 'products' },
        body: image,
      });
      expect(status).toBe(501);
    } finally {
      await bare.close();
    }
  });
});

describe("RunPod's webhook", () => {
  const told = (kind: string, id: string, signature: string, body: unknown) =>
    api.client.call('runpodWebhook', {
      parameters: { kind, id, signature },
      body,
      headers: { authorization: '' },
    });

  test('is the one that was given with the job, and ends the run', async () => {
    const { body } = await api.client.call('submitTraining', { body: {} });
    const { id, runpod_job_id: job } = body as { id: string; runpod_job_id: string };
    const { webhook } = runpod.requests.at(-1)?.body as { webhook: string };
    const signature = webhookSignature(WEBHOOK_SECRET, 'embedding', id);
    expect(webhook).toBe(`https://api.example.invalid/v1/webhooks/runpod/embedding/${id}/${signature}`);
    expect(webhook).not.toContain(WEBHOOK_SECRET);
    const failed = { id: job, status: 'FAILED', error: 'worker exited', delayTime: 3, unheard: { of: 1 } };
    expect(await told('embedding', id, signature, failed)).toMatchObject({
      status: 200,
      body: { taken: true },
    });
    expect(await rowOf(supabase, id)).toMatchObject({ status: 'failed', error_message: 'worker exited' });
    expect(await told('embedding', id, signature, { ...failed, id: 'another' })).toMatchObject({
      body: { taken: false },
    });
  });

  test('is nobody else: a wrong signature, and one of another run', async () => {
    const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
    const failed = { id: 'j', status: 'FAILED' };
    for (const signature of [
      'x',
      webhookSignature('another-secret', 'embedding', id),
      webhookSignature(WEBHOOK_SECRET, 'classification', id),
      webhookSignature(WEBHOOK_SECRET, 'embedding', randomUUID()),
    ]) {
      expect(await told('embedding', id, signature, failed)).toMatchObject({
        status: 401,
        body: { code: 'unauthorized' },
      });
    }
    expect((await rowOf(supabase, id)).status).toBe('running');
    expect(api.logged()).not.toContain(webhookSignature(WEBHOOK_SECRET, 'embedding', id));
  });
});

describe('metrics', () => {
  const text = async (): Promise<string> => String((await api.client.call('metrics')).body);

  test('count what has ended, and tell what is', async () => {
    const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
    const bad = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'k' });
    await supabase.sql(`update embedding_jobs set collection_names = '{a,b}'`);
    const stage = (working: number, waiting: number) => ({
      working_seconds: working,
      waiting_seconds: waiting,
      held_back_seconds: 1,
    });
    const output = {
      status: 'success',
      total_images: 10,
      processed_count: 6,
      unchanged_count: 1,
      failed_count: 3,
      failed_by_code: { http_404: 2, 'odd"\n\\code': 1 },
      performance: { stages: { download: stage(5, 0), embed: stage(6, 1) } },
    };
    const say = (run: string, body: unknown) =>
      api.client.call('runpodWebhook', {
        parameters: {
          kind: 'embedding',
          id: run,
          signature: webhookSignature(WEBHOOK_SECRET, 'embedding', run),
        },
        body,
      });
    await say(id, { id: 'j', status: 'COMPLETED', output });
    // RunPod tells it again until it is answered: it counts once.
    await say(id, { id: 'j', status: 'COMPLETED', output });
    await say(bad, { id: 'k', status: 'FAILED' });
    const lines = (await text()).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'gpu_handlers_runs{kind="embedding",status="completed"} 1',
        'gpu_handlers_runs{kind="embedding",status="failed"} 1',
        'gpu_handlers_runs{kind="classification",status="training"} 0',
        'gpu_handlers_runs_ended_total{kind="embedding",status="completed"} 1',
        'gpu_handlers_images_total{outcome="written",code=""} 6',
        'gpu_handlers_images_total{outcome="unchanged",code=""} 1',
        'gpu_handlers_images_total{outcome="failed",code="http_404"} 2',
        String.raw`gpu_handlers_images_total{outcome="failed",code="odd\"\n\\code"} 1`,
        'gpu_handlers_collections_total{outcome="created"} 2',
        'gpu_handlers_collections_total{outcome="failed"} 2',
        'gpu_handlers_stage_seconds_total{stage="download",doing="working"} 5',
        'gpu_handlers_stage_seconds_total{stage="embed",doing="held_back"} 1',
        'gpu_handlers_gpu_waiting_share 0.25',
        'gpu_handlers_queue_jobs{kind="embedding",state="waiting"} 0',
        'gpu_handlers_workers{kind="embedding",state="idle"} 1',
        'gpu_handlers_http_requests_total{operation="runpodWebhook",status="200"} 3',
      ]),
    );
  });

  test('are told without what does not answer', async () => {
    runpod.answer = () => ({ status: 401 });
    const told = await text();
    expect(told).toContain('gpu_handlers_runs{');
    expect(told).not.toContain('gpu_handlers_queue_jobs{');
    expect(told).toContain('gpu_handlers_scrape_failures_total{source="runpod"} 1');
  });
});
