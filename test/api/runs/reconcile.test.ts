import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { keepReconciling, reconcile, takeWord } from '../../../src/api/runs/reconcile.ts';
import { RUN_KIND_NAMES, type RunKindName } from '../../../src/api/runs/run-kinds.ts';
import type { RunPodJob } from '../../../src/api/runpod/endpoint.ts';
import { scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { addRun, rowOf, testRuns, type TestRuns } from '../../support/api/runs.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

let supabase: TestSupabase;
let runpod: ScriptedRunPod;
let runs: TestRuns;
let results: [RunKindName, RunPodJob][];

beforeAll(async () => {
  supabase = await testSupabase();
});
afterAll(async () => {
  await supabase.close();
});
beforeEach(async () => {
  runpod = await scriptedRunPod();
  const { endpoint } = runpod;
  results = [];
  const endpoints = { embedding: endpoint, classification: endpoint };
  runs = testRuns(supabase, endpoints, { onResult: ({ kind }, job) => void results.push([kind, job]) });
});
afterEach(async () => {
  await runpod[Symbol.asyncDispose]();
  await supabase.sql('delete from embedding_jobs');
  await supabase.sql('delete from cls_training_runs');
});

const WORKING: Readonly<Record<RunKindName, string>> = { embedding: 'running', classification: 'training' };
const EMBEDDED = {
  status: 'success',
  total_images: 7,
  processed_count: 4,
  unchanged_count: 1,
  failed_count: 2,
};
const THROWN = JSON.stringify({
  error_type: 'StoppedError',
  error_message: 'stopped by SIGTERM',
  error_code: 'shutdown',
});

type Case = [string, Record<string, unknown>, Record<string, unknown>];

describe.each(RUN_KIND_NAMES)('a run of the kind %s whose row is behind', (kind) => {
  const cases: Case[] = [
    ['cancelled at RunPod', { status: 'CANCELLED' }, { status: 'cancelled' }],
    [
      'timed out',
      { status: 'TIMED_OUT', error: 'the job ran longer than its 100 ms' },
      {
        status: 'failed',
        error_message:
          'RunPod ended the job: it ran or waited longer than it may (the job ran longer than its 100 ms)',
      },
    ],
    [
      'died',
      { status: 'FAILED', error: 'worker exited' },
      { status: 'failed', error_message: 'worker exited' },
    ],
    [
      'shut down',
      { status: 'FAILED', error: THROWN },
      { status: 'failed', error_message: 'stopped by SIGTERM' },
    ],
    [
      'failed without a word',
      { status: 'FAILED' },
      { status: 'failed', error_message: expect.stringContaining('does not say why') },
    ],
    [
      'stopped by the page',
      { status: 'COMPLETED', output: { status: 'cancelled' } },
      { status: 'cancelled' },
    ],
    ['in capitals', { status: 'COMPLETED', output: { status: 'CANCELLED' } }, { status: 'cancelled' }],
    [
      'over with an error',
      { status: 'COMPLETED', output: { status: 'error', error: 'mixed models' } },
      { status: 'failed', error_message: 'mixed models' },
    ],
  ];

  test.each(cases)('%s', async (_, job, expected) => {
    const id = await addRun(supabase, kind, { status: WORKING[kind], runpod_job_id: 'j' });
    runpod.jobs.set('j', { id: 'j', ...job });
    const done = await reconcile(runs);
    expect(done).toMatchObject({
      looked_at: 1,
      ended: [{ id, kind, status: expected.status }],
      failures: [],
    });
    const row = await rowOf(supabase, id);
    expect(row).toMatchObject(expected);
    expect(row.completed_at).not.toBeNull();
    // And what is over stays over.
    expect(await reconcile(runs)).toMatchObject({ looked_at: 0, ended: [] });
  });

  test.each(['IN_QUEUE', 'IN_PROGRESS'])('but %s is left alone', async (status) => {
    const id = await addRun(supabase, kind, { status: WORKING[kind], runpod_job_id: 'j' });
    runpod.jobs.set('j', { id: 'j', status, output: { processed: 3 } });
    expect(await reconcile(runs)).toMatchObject({ looked_at: 1, ended: [], results: 0 });
    expect(await rowOf(supabase, id)).toMatchObject({
      status: WORKING[kind],
      completed_at: null,
      result: null,
    });
  });

  test('purged, or long forgotten', async () => {
    const id = await addRun(supabase, kind, { status: WORKING[kind], runpod_job_id: 'j' });
    await reconcile(runs);
    expect(await rowOf(supabase, id)).toMatchObject({
      status: 'failed',
      error_message: expect.stringContaining('RunPod does not know the job any more'),
    });
  });
});

describe('a completed run', () => {
  test('of an extraction has its counts', async () => {
    const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
    runpod.jobs.set('j', { id: 'j', status: 'COMPLETED', output: EMBEDDED });
    await reconcile(runs);
    expect(await rowOf(supabase, id)).toMatchObject({
      status: 'completed',
      total_images: 7,
      processed_images: 7,
      error_message: null,
    });
  });

  test('of a classifier has its model, and none without has completed', async () => {
    const [good, bad] = await Promise.all(
      ['g', 'b'].map((job) => addRun(supabase, 'classification', { status: 'training', runpod_job_id: job })),
    );
    runpod.jobs.set('g', {
      id: 'g',
      status: 'COMPLETED',
      output: {
        status: 'COMPLETED',
        model_url: 'cls-models/a',
        metrics: { best_val_acc: 91.5, best_epoch: 3 },
      },
    });
    runpod.jobs.set('b', { id: 'b', status: 'COMPLETED', output: { status: 'COMPLETED' } });
    await reconcile(runs);
    expect(await rowOf(supabase, good ?? '')).toMatchObject({
      status: 'completed',
      model_url: 'cls-models/a',
      best_accuracy: 91.5,
      best_epoch: 3,
    });
    expect(await rowOf(supabase, bad ?? '')).toMatchObject({
      status: 'failed',
      error_message: expect.stringContaining('model_url'),
    });
  });
});

describe('what is not known is not decided', () => {
  test("another program's run that RunPod does not know: its endpoint may be another one", async () => {
    const id = await addRun(supabase, 'embedding', {
      status: 'running',
      runpod_job_id: 'j',
      runpod_endpoint_id: null,
    });
    expect(await reconcile(runs)).toMatchObject({ looked_at: 1, ended: [] });
    expect((await rowOf(supabase, id)).status).toBe('running');
  });

  test("but RunPod's word on it counts", async () => {
    const id = await addRun(supabase, 'embedding', {
      status: 'running',
      runpod_job_id: 'j',
      runpod_endpoint_id: null,
    });
    runpod.jobs.set('j', { id: 'j', status: 'TIMED_OUT' });
    await reconcile(runs);
    expect((await rowOf(supabase, id)).status).toBe('failed');
  });

  test('a run that is seconds old', async () => {
    const id = await addRun(supabase, 'embedding', { runpod_job_id: 'j', age: 5 });
    expect(await reconcile(runs)).toMatchObject({ ended: [] });
    expect((await rowOf(supabase, id)).status).toBe('queued');
  });

  test.each<[string, ScriptedRunPod['answer']]>([
    ['the endpoint is not there at all', () => ({ status: 404 })],
    ['RunPod is down', () => ({ status: 503 })],
    ['the key is wrong', () => ({ status: 401 })],
    ['RunPod says something unheard of', () => ({ body: { id: 'j', status: 'SLEEPING' } })],
  ])('a run when %s', async (_, answer) => {
    const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
    runpod.answer = answer;
    const done = await reconcile(runs);
    expect(done).toMatchObject({ ended: [], failures: [{ kind: 'embedding', reason: expect.any(String) }] });
    expect((await rowOf(supabase, id)).status).toBe('running');
  });
});

describe('a state that ends a run is never taken back', () => {
  test.each(['completed', 'failed', 'cancelled'])('%s, written while RunPod was asked', async (status) => {
    const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
    runpod.jobs.set('j', { id: 'j', status: status === 'failed' ? 'COMPLETED' : 'FAILED', output: EMBEDDED });
    runpod.answer = async ({ path }) => {
      if (path === 'status/j') await supabase.sql('update embedding_jobs set status = $1', [status]);
      return undefined;
    };
    expect(await reconcile(runs)).toMatchObject({ looked_at: 1, ended: [] });
    expect(await rowOf(supabase, id)).toMatchObject({ status, error_message: null });
  });

  test('nor is the run that was submitted anew while RunPod was asked for the old job', async () => {
    const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
    runpod.jobs.set('j', { id: 'j', status: 'FAILED', error: 'worker exited' });
    runpod.answer = async ({ path }) => {
      if (path === 'status/j') await supabase.sql(`update embedding_jobs set runpod_job_id = 'k'`);
      return undefined;
    };
    await reconcile(runs);
    expect((await rowOf(supabase, id)).status).toBe('running');
  });
});

describe('a run that was never submitted', () => {
  test('is failed when nobody can be about to any more', async () => {
    const old = await addRun(supabase, 'embedding', { status: 'pending', age: 3_600 });
    const young = await addRun(supabase, 'embedding', { status: 'pending', age: 60 });
    const foreign = await addRun(supabase, 'embedding', { status: 'pending', runpod_endpoint_id: null });
    await reconcile(runs);
    const states = await Promise.all(
      [old, young, foreign].map(async (id) => (await rowOf(supabase, id)).status),
    );
    expect(states).toEqual(['failed', 'pending', 'pending']);
  });

  test('but not where a worker has it', async () => {
    const id = await addRun(supabase, 'embedding', { status: 'running' });
    await reconcile(runs);
    expect((await rowOf(supabase, id)).status).toBe('running');
  });
});

describe('results', () => {
  test('of runs whose worker told their end are kept, once, without lists and secrets', async () => {
    const id = await addRun(supabase, 'embedding', { status: 'completed', runpod_job_id: 'j' });
    await supabase.sql('update embedding_jobs set completed_at = now()');
    const output = {
      ...EMBEDDED,
      failed_images: [{ id: 'x' }],
      note: 'key sb_secret_unique4711',
      long: 'y'.repeat(200_000),
    };
    runpod.jobs.set('j', { id: 'j', status: 'COMPLETED', output });
    expect(await reconcile(runs)).toMatchObject({ looked_at: 0, ended: [], results: 1 });
    expect(await reconcile(runs)).toMatchObject({ results: 0 });
    expect(results).toHaveLength(1);
    const { result, status } = await rowOf(supabase, id);
    expect(status).toBe('completed');
    expect(result).toEqual({ ...EMBEDDED, runpod_status: 'COMPLETED', note: 'key [redacted]' });
  });

  test('are asked for as long as RunPod keeps them', async () => {
    await addRun(supabase, 'embedding', { status: 'completed', runpod_job_id: 'j' });
    await supabase.sql(`update embedding_jobs set completed_at = now() - interval '1 hour'`);
    await reconcile(runs);
    expect(runpod.requests).toEqual([]);
  });

  test('are not kept where the database has no place for them, and everything else is done', async () => {
    const other = await testSupabase();
    try {
      await other.sql('alter table embedding_jobs drop column result');
      const id = await addRun(other, 'embedding', { status: 'running', runpod_job_id: 'j' });
      runpod.jobs.set('j', { id: 'j', status: 'COMPLETED', output: EMBEDDED });
      const there = testRuns(other, { embedding: runpod.endpoint });
      expect(await reconcile(there)).toMatchObject({
        ended: [{ id, status: 'completed' }],
        results: 0,
        failures: [],
      });
      expect(there.logged()).toContain('results are not kept');
    } finally {
      await other.close();
    }
  });
});

test('the result of a run whose row has ended before its job is kept when that has ended too', async () => {
  const id = await addRun(supabase, 'embedding', { status: 'completed', runpod_job_id: 'j' });
  await supabase.sql('update embedding_jobs set completed_at = now() where id = $1', [id]);
  runpod.jobs.set('j', { id: 'j', status: 'IN_PROGRESS', output: { processed: 3, total: 7 } });
  expect(await reconcile(runs)).toMatchObject({ results: 0, failures: [] });
  expect((await rowOf(supabase, id)).result).toBeNull();
  runpod.jobs.set('j', { id: 'j', status: 'COMPLETED', output: EMBEDDED });
  expect(await reconcile(runs)).toMatchObject({ results: 1 });
  expect((await rowOf(supabase, id)).result).toMatchObject(EMBEDDED);
});

describe("RunPod's word, unasked", () => {
  test('ends the run, whether its id was written or not', async () => {
    const job: RunPodJob = { id: 'j', status: 'FAILED', error: 'worker exited' };
    for (const runpod_job_id of ['j', null]) {
      const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id, age: 0 });
      expect(await takeWord(runs, 'embedding', id, job)).toBe('taken');
      expect((await rowOf(supabase, id)).status).toBe('failed');
    }
    expect(results).toHaveLength(2);
  });

  test('on another job than the row names is nothing to it', async () => {
    const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'newer' });
    expect(await takeWord(runs, 'embedding', id, { id: 'j', status: 'FAILED' })).toBe('not this run');
    expect((await rowOf(supabase, id)).status).toBe('running');
  });
});

test('the loop goes on until it is stopped, and survives a pass that fails', async () => {
  let asked = 0;
  const { promise: three, resolve } = Promise.withResolvers<undefined>();
  const id = await addRun(supabase, 'embedding', { status: 'running', runpod_job_id: 'j' });
  runpod.answer = () => {
    asked += 1;
    if (asked === 3) resolve(undefined);
    return asked < 3 ? { status: 401 } : { body: { id: 'j', status: 'CANCELLED' } };
  };
  const loop = keepReconciling(runs, 10);
  await three;
  while ((await rowOf(supabase, id)).status === 'running');
  await loop.stop();
  const before = asked;
  await new Promise((done) => setTimeout(done, 50));
  expect(asked).toBe(before);
});
