import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { CLASSIFICATION_REQUEST, planClassification } from '../../../src/api/index.ts';
import { connectEndpoint } from '../../../src/api/runpod/endpoint.ts';
import { cancelRun } from '../../../src/api/runs/cancel.ts';
import { submitClassification, submitExtraction } from '../../../src/api/runs/submit.ts';
import { InputError, RunPodError } from '../../../src/base/errors.ts';
import { everything, LABELLED_ID } from '../../support/api/requests.ts';
import { API_KEY, scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { matchingPlan, rowOf, testRuns, type TestRuns } from '../../support/api/runs.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

let supabase: TestSupabase;
let runpod: ScriptedRunPod;
let runs: TestRuns;

beforeAll(async () => {
  supabase = await testSupabase();
});
afterAll(async () => {
  await supabase.close();
});
beforeEach(async () => {
  runpod = await scriptedRunPod();
  const { endpoint } = runpod;
  runs = testRuns(supabase, { embedding: endpoint, classification: endpoint });
});
afterEach(async () => {
  await runpod[Symbol.asyncDispose]();
  await supabase.sql('delete from embedding_jobs');
});

const allRows = () => supabase.sql('select * from embedding_jobs');
const submission = () => runpod.requests.find(({ path }) => path === 'run');

describe('a run', () => {
  test('has its row before RunPod hears of it, and RunPod its id in the row afterwards', async () => {
    let before: Record<string, unknown>[] = [];
    runpod.answer = async ({ path }) => {
      if (path === 'run') before = await allRows();
      return undefined;
    };
    const { id, runpod_job_id } = await submitExtraction(runs, await matchingPlan());
    expect(before).toMatchObject([{ id, status: 'pending', runpod_job_id: null }]);
    expect(await rowOf(supabase, id)).toMatchObject({ status: 'queued', runpod_job_id, completed_at: null });
  });

  test('says in its row what was asked for', async () => {
    const plan = await matchingPlan({ product_source: 'filter', product_filter: { category: 'drinks' } });
    const { id } = await submitExtraction(runs, plan);
    const { input } = submission()?.body as { input: Record<string, unknown> };
    expect(await rowOf(supabase, id)).toMatchObject({
      job_type: 'full',
      source: 'both',
      purpose: 'matching',
      image_types: ['synthetic'],
      collection_names: ['products_demo', 'cutouts_demo'],
      source_config: input.source_config,
      extraction_config: { collection_mode: 'create', input },
      runpod_endpoint_id: 'scripted',
    });
    expect(input).toMatchObject({
      job_id: id,
      source_config: { filters: { product_filter: { category: 'drinks' } } },
    });
  });

  test('may take a day, and says so: RunPod ends a job after ten minutes otherwise', async () => {
    await submitExtraction(runs, await matchingPlan());
    expect(submission()?.body.policy).toEqual({ executionTimeout: 86_400_000, ttl: 172_800_000 });
  });

  test('carries credentials only where they were given, and its row never', async () => {
    await submitExtraction(runs, await matchingPlan());
    expect(JSON.stringify(submission()?.body)).not.toContain('supabase');
    const credentials = {
      supabase_url: 'https://p.example.invalid',
      supabase_service_key: 'sb_secret_unique4711',
    };
    const { id } = await submitExtraction({ ...runs, credentials }, await matchingPlan());
    expect(runpod.requests.at(-1)?.body).toMatchObject({ input: credentials });
    expect(JSON.stringify(await rowOf(supabase, id))).not.toContain('unique4711');
    expect(runs.logged()).not.toContain('unique4711');
  });

  test('of a classifier has a row with what the table asks for', async () => {
    await supabase.sql(`insert into cls_datasets (id, name) values ($1, 'Drinks')`, [LABELLED_ID]);
    const request = CLASSIFICATION_REQUEST.parse({ dataset_id: LABELLED_ID, config: { epochs: 3 } });
    const plan = await planClassification(request, { lookup: everything() });
    const { id, runpod_job_id } = await submitClassification(runs, plan);
    expect(await rowOf(supabase, id)).toMatchObject({
      status: 'queued',
      runpod_job_id,
      name: 'Drinks vit_base_patch16_224',
      dataset_id: LABELLED_ID,
      num_classes: 5,
      model_type: 'vit',
      model_size: 'base',
      total_epochs: 3,
      config: { epochs: 3, learning_rate: 0.0001 },
    });
  });
});

describe("a worker's later state", () => {
  test.each(['running', 'completed', 'failed'])(
    '%s stands, and the id is written beside it',
    async (status) => {
      runpod.answer = async ({ path }) => {
        if (path === 'run') await supabase.sql('update embedding_jobs set status = $1', [status]);
        return undefined;
      };
      const { id, runpod_job_id } = await submitExtraction(runs, await matchingPlan());
      expect(await rowOf(supabase, id)).toMatchObject({ status, runpod_job_id });
    },
  );

  test('a run that is cancelled while it is submitted is cancelled at RunPod too', async () => {
    runpod.answer = async ({ path, body }) => {
      if (path === 'run') await cancelRun(runs, (body.input as { job_id: string }).job_id);
      return undefined;
    };
    const { id, runpod_job_id } = await submitExtraction(runs, await matchingPlan());
    expect((await rowOf(supabase, id)).status).toBe('cancelled');
    expect(runpod.jobs.get(runpod_job_id ?? '')?.status).toBe('CANCELLED');
  });
});

describe('a submission that fails', () => {
  const failed = async (): Promise<{ error: RunPodError; row: Record<string, unknown> }> => {
    const error: unknown = await submitExtraction(runs, await matchingPlan()).catch(
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof RunPodError)) throw error;
    const [row = {}] = await allRows();
    return { error, row };
  };

  test.each([
    [401, 'runpod_unauthorized', 'check RUNPOD_API_KEY'],
    [404, 'runpod_not_found', 'RunPod answered 404'],
    [400, 'runpod_rejected', 'the words of RunPod'],
    [500, 'runpod_unavailable', 'RunPod answered 500'],
  ])('with %s marks the row with the reason', async (status, code, text) => {
    runpod.answer = () => ({ status, body: { error: 'the words of RunPod' } });
    const { error, row } = await failed();
    expect(error.code).toBe(code);
    expect(row).toMatchObject({ status: 'failed', error_message: expect.stringContaining(text) });
    expect(row.error_message).toMatch(/^the run was not submitted: /);
    expect(row.completed_at).not.toBeNull();
    // It may have arrived: a second one would be a second job.
    expect(runpod.requests).toHaveLength(1);
  });

  test.each([
    ['cut', 'runpod_unreachable'],
    ['silence', 'runpod_timeout'],
  ] as const)('by a connection with %s is not sent again: it may have arrived', async (answer, code) => {
    runpod.answer = () => answer;
    const { error, row } = await failed();
    expect(error.code).toBe(code);
    expect(row.status).toBe('failed');
    expect(runpod.requests).toHaveLength(1);
  });

  test('as RunPod is not there at all is tried again, and then told', async () => {
    const { url: jobsUrl } = runpod;
    await runpod[Symbol.asyncDispose]();
    const gone = connectEndpoint({ id: 'gone', apiKey: API_KEY, jobsUrl, timeoutMs: 500, patienceMs: 300 });
    runs = testRuns(supabase, { embedding: gone });
    const { error, row } = await failed();
    expect(error).toMatchObject({ code: 'runpod_unreachable', retryable: true });
    expect(row).toMatchObject({ status: 'failed', error_message: expect.stringContaining('ECONNREFUSED') });
    runpod = await scriptedRunPod();
  });

  test('because RunPod is busy is sent again when it says', async () => {
    let asked = 0;
    runpod.answer = () => {
      asked += 1;
      return asked < 3 ? { status: 429, headers: { 'retry-after': '0' } } : undefined;
    };
    const { id } = await submitExtraction(runs, await matchingPlan());
    expect((await rowOf(supabase, id)).status).toBe('queued');
    expect(asked).toBe(3);
  });

  test('with an answer that is none', async () => {
    runpod.answer = () => ({ status: 202, body: {} });
    const { error, row } = await failed();
    expect(error.code).toBe('runpod_unexpected');
    expect(row.status).toBe('failed');
  });

  test('though a worker has the job already: its state stands', async () => {
    runpod.answer = async () => {
      await supabase.sql(`update embedding_jobs set status = 'running'`);
      return 'cut' as const;
    };
    const { row } = await failed();
    expect(row).toMatchObject({ status: 'running', error_message: null });
  });

  test('shows the key nowhere, though RunPod quotes it', async () => {
    runpod.answer = ({ headers }) => ({
      status: 400,
      body: { error: `bad header ${headers.authorization}` },
    });
    const { error, row } = await failed();
    expect(`${JSON.stringify(row)} ${error.message} ${runs.logged()}`).not.toContain(API_KEY);
  });

  test('for its size leaves no row', async () => {
    const plan = await matchingPlan({ cutout_merchant_names: ['x'.repeat(11 * 2 ** 20)] });
    await expect(submitExtraction(runs, plan)).rejects.toBeInstanceOf(InputError);
    expect(await allRows()).toEqual([]);
  });
});

test('without an endpoint the missing setting is named, and no row is written', async () => {
  runs = testRuns(supabase, {});
  await expect(submitExtraction(runs, await matchingPlan())).rejects.toThrow('RUNPOD_ENDPOINT_EMBEDDING');
  expect(await allRows()).toEqual([]);
});

describe('a database that is not quite ours', () => {
  afterEach(async () => {
    await supabase.close();
    supabase = await testSupabase();
  });

  test('lacks the column of the endpoint: said once, and the run goes on', async () => {
    await supabase.sql('alter table embedding_jobs drop column runpod_endpoint_id, drop column result');
    const { id } = await submitExtraction(runs, await matchingPlan());
    expect((await rowOf(supabase, id)).status).toBe('queued');
    expect(runs.logged()).toContain('embedding_jobs has no column runpod_endpoint_id');
  });

  test('takes no such purpose and knows no such model: the row goes without them', async () => {
    await supabase.sql(
      `alter table embedding_jobs drop constraint embedding_jobs_purpose_check,
         add constraint narrow check (purpose in ('training'))`,
    );
    const model = { id: LABELLED_ID, model_type: 'demo', embedding_dim: 48 };
    const { id } = await submitExtraction(runs, await matchingPlan({ model }));
    expect(await rowOf(supabase, id)).toMatchObject({
      status: 'queued',
      purpose: null,
      embedding_model_id: null,
    });
  });
});
