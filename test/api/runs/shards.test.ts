import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { InputError, RunPodError } from '../../../src/base/errors.ts';
import { createMetrics } from '../../../src/api/metrics/metrics.ts';
import { connectEndpoint } from '../../../src/api/runpod/endpoint.ts';
import { cancelRun } from '../../../src/api/runs/cancel.ts';
import { listFailures } from '../../../src/api/runs/failures.ts';
import { reconcile, takeWord } from '../../../src/api/runs/reconcile.ts';
import { retryFailed } from '../../../src/api/runs/retry-failed.ts';
import { createRunReader, listRuns } from '../../../src/api/runs/run-view.ts';
import { submitExtraction, type SubmittedRun } from '../../../src/api/runs/submit.ts';
import { parseEmbeddingInput } from '../../../src/embedding/input.ts';
import { API_KEY, scriptedRunPod, type ScriptedRunPod } from '../../support/api/runpod.ts';
import { matchingPlan, rowOf, testRuns, type TestRuns } from '../../support/api/runs.ts';
import { testSupabase, type TestSupabase } from '../../support/supabase.ts';

type Row = Record<string, unknown>;

const PRODUCTS = 40;
const productId = (i: number): string =>
  `${(i % 16).toString(16)}0000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
const ids = Array.from({ length: PRODUCTS }, (_, i) => productId(i));

let supabase: TestSupabase;
let runpod: ScriptedRunPod;
let runs: TestRuns;

beforeAll(async () => {
  supabase = await testSupabase();
  await supabase.sql(
    `insert into products (id, barcode, frames_path, frame_count)
     select id, id, 'any', 4 from unnest($1::uuid[]) id`,
    [ids],
  );
});
afterAll(() => supabase.close());
beforeEach(async () => {
  runpod = await scriptedRunPod();
  runs = testRuns(supabase, { embedding: runpod.endpoint });
});
afterEach(async () => {
  await runpod[Symbol.asyncDispose]();
  await supabase.sql('delete from embedding_jobs');
});

const BODY = { source: 'products', frame_selection: 'all', shards: 4 };

async function submit(body: Row = {}): Promise<SubmittedRun> {
  return submitExtraction(runs, await matchingPlan({ ...BODY, ...body }));
}
const shardsOf = (id: string): Promise<Row[]> =>
  supabase.sql('select * from embedding_jobs where parent_job_id = $1 order by shard_index', [id]);
const submitted = (): Row[] =>
  runpod.requests.filter(({ path }) => path === 'run').map(({ body }) => body.input as Row);
const set = (id: unknown, values: string): Promise<unknown> =>
  supabase.sql(`update embedding_jobs set ${values} where id = $1`, [id]);
const statuses = (rows: readonly Row[]): unknown[] => rows.map(({ status }) => status);

describe('a run that is divided', () => {
  test('has its row, then all rows of its shards, then their jobs, each with its part of the rows', async () => {
    let before: Row[] = [];
    runpod.answer = async ({ path }) => {
      if (path === 'run' && before.length === 0) before = await supabase.sql('select * from embedding_jobs');
      return undefined;
    };
    const { id, runpod_job_id, shards } = await submit();
    expect([runpod_job_id, shards]).toEqual([null, { count: 4, submitted: 4 }]);
    expect(before).toHaveLength(5);

    const rows = await shardsOf(id);
    expect(rows.map(({ shard_index, total_images }) => [shard_index, total_images])).toEqual(
      [0, 1, 2, 3].map((i) => [i, 40]),
    );
    expect(statuses(rows)).toEqual(['queued', 'queued', 'queued', 'queued']);
    expect(await rowOf(supabase, id)).toMatchObject({
      status: 'queued',
      shard_count: 4,
      total_images: 160,
      runpod_job_id: null,
      collection_names: ['products_demo'],
    });
    const inputs = submitted().map(parseEmbeddingInput);
    expect(inputs.map(({ job_id }) => job_id).toSorted()).toEqual(rows.map((row) => row.id).toSorted());
    const ranges = inputs.map(({ source_config: source }) => source?.shard);
    const starts = ranges.flatMap((shard) => shard?.products?.from ?? []);
    const ends = ranges.flatMap((shard) => shard?.products?.before ?? []);
    expect(starts.toSorted()).toEqual(ends.toSorted());
    expect(starts).toHaveLength(3);
    expect(JSON.stringify(rows)).not.toContain('supabase_url');
  });

  test('of selected products names in each job its own', async () => {
    await submit({ product_source: 'selected', product_ids: ids.slice(0, 9), shards: 3 });
    const named = submitted().map(
      (input) => parseEmbeddingInput(input).source_config?.filters.product_ids ?? [],
    );
    expect(named.map(({ length }) => length)).toEqual([3, 3, 3]);
    expect(named.flat().toSorted()).toEqual(ids.slice(0, 9).toSorted());
  });

  test('by its images has as many shards as they make', async () => {
    expect((await submit({ shards: null, images_per_shard: 60 })).shards?.count).toBe(3);
  });

  test('into one part is a run as any other', async () => {
    const { id, runpod_job_id, shards } = await submit({ shards: 1 });
    expect(shards).toBeNull();
    expect(await rowOf(supabase, id)).toMatchObject({ runpod_job_id, shard_count: null });
    expect(submitted()[0]).not.toHaveProperty('source_config.shard');
  });

  test.each<[string, Row, string]>([
    ['both ways to say it', { images_per_shard: 5 }, 'images_per_shard'],
    ['none', { shards: 0 }, 'shards'],
    [
      'a column that products has not',
      { product_source: 'filter', product_filter: { no_such: 1 } },
      'product_filter',
    ],
  ])('is refused for %s', async (_, body, field) => {
    const refused = submit(body);
    await expect(refused).rejects.toBeInstanceOf(InputError);
    await expect(refused).rejects.toMatchObject({ issues: [{ key: field }] });
    expect(await supabase.sql('select id from embedding_jobs')).toEqual([]);
  });
});

describe('jobs that RunPod does not take', () => {
  test('fail their shards alone', async () => {
    let asked = 0;
    runpod.answer = ({ path }) =>
      path === 'run' && (asked += 1) % 2 === 0 ? { status: 400, body: { error: 'not this one' } } : undefined;
    const { id, shards } = await submit();
    expect(shards).toEqual({ count: 4, submitted: 2 });
    const rows = await shardsOf(id);
    expect(statuses(rows).toSorted()).toEqual(['failed', 'failed', 'queued', 'queued']);
    expect(rows.find(({ status }) => status === 'failed')?.error_message).toContain('not this one');
    expect((await rowOf(supabase, id)).status).toBe('running');
  });

  test('all of them: the whole has failed, and whoever submits it hears why', async () => {
    runpod.answer = ({ path }) => (path === 'run' ? { status: 401 } : undefined);
    await expect(submit({ shards: 20 })).rejects.toBeInstanceOf(RunPodError);
    const [whole] = await supabase.sql('select * from embedding_jobs where shard_count is not null');
    expect(whole).toMatchObject({
      status: 'failed',
      error_message: expect.stringContaining('RUNPOD_API_KEY'),
    });
    expect(new Set(statuses(await shardsOf(String(whole?.id))))).toEqual(new Set(['failed']));
    // Not all are asked for in vain.
    expect(submitted().length).toBeLessThan(20);
  });

  test('no shard is left behind where RunPod took one late, behind several that it did not take', async () => {
    let asked = 0;
    runpod.answer = async ({ path }) => {
      if (path !== 'run') return undefined;
      if ((asked += 1) <= 3) return { status: 400, body: { error: 'not now' } };
      await setTimeout(500);
      return undefined;
    };
    const { id, shards } = await submit({ shards: 20 });
    const rows = await shardsOf(id);
    const queued = rows.filter(({ status }) => status === 'queued');
    expect(shards).toEqual({ count: 20, submitted: queued.length });
    expect(new Set(statuses(rows))).toEqual(new Set(['queued', 'failed']));
  });

  test('where the rows of shards are refused, the whole has failed, and nothing is submitted', async () => {
    await supabase.sql(`alter table embedding_jobs add constraint no_shards check (shard_index is null)`);
    await expect(submit()).rejects.toMatchObject({ code: 'supabase_constraint' });
    await supabase.sql('alter table embedding_jobs drop constraint no_shards');
    expect(await supabase.sql('select status, error_message from embedding_jobs')).toEqual([
      { status: 'failed', error_message: expect.stringContaining('the run was not divided') },
    ]);
    expect(submitted()).toEqual([]);
  });
});

describe('whoever submits dies', () => {
  const old = { submissionMs: 0, settlingMs: 0 };

  test('between the row of the whole and those of its shards: it has failed', async () => {
    const id = randomUUID();
    await supabase.sql(
      `insert into embedding_jobs (id, shard_count, runpod_endpoint_id) values ($1, 4, 'scripted')`,
      [id],
    );
    expect(await reconcile(runs)).toMatchObject({ ended: [] });
    expect(await reconcile(runs, old)).toMatchObject({ ended: [{ id, status: 'failed' }] });
    expect(await rowOf(supabase, id)).toMatchObject({
      status: 'failed',
      error_message: 'the run was never divided: whoever wanted to submit it has ended before',
    });
  });

  test('between two jobs: the shards without one have failed, the others go on, and they can be submitted again', async () => {
    const { id } = await submit();
    const [first, second] = await shardsOf(id);
    for (const shard of [first, second]) await set(shard?.id, `status = 'pending', runpod_job_id = null`);
    expect(await reconcile(runs, old)).toMatchObject({
      ended: [first, second].map((shard) => ({ id: shard?.id, status: 'failed' })).toSorted(byId),
    });
    expect(statuses(await shardsOf(id))).toEqual(['failed', 'failed', 'queued', 'queued']);
    const earlier = submitted().length;
    for (const shard of [first, second])
      expect(await retryFailed(runs, String(shard?.id))).toMatchObject({
        id: shard?.id,
        shards: { submitted: 1 },
      });
    expect(submitted().length - earlier).toBe(2);
    expect(statuses(await shardsOf(id))).toEqual(['queued', 'queued', 'queued', 'queued']);
  });
});

const byId = (a: { id: unknown }, b: { id: unknown }): number => (String(a.id) < String(b.id) ? -1 : 1);

describe('a cancel', () => {
  test('of the whole cancels every shard and its job', async () => {
    const { id } = await submit();
    const [done, running] = await shardsOf(id);
    await set(done?.id, `status = 'completed'`);
    await set(running?.id, `status = 'running'`);
    expect(await cancelRun(runs, id)).toMatchObject({ id, status: 'cancelled', ended_at_runpod: true });
    expect(statuses(await shardsOf(id))).toEqual(['completed', 'cancelled', 'cancelled', 'cancelled']);
    const states = [...runpod.jobs.values()].map(({ status }) => status);
    expect(states.filter((status) => status === 'CANCELLED')).toHaveLength(3);
    expect(await cancelRun(runs, id)).toMatchObject({ status: 'cancelled' });
    await expect(retryFailed(runs, String(running?.id))).rejects.toMatchObject({ code: 'run_has_ended' });
  });

  test('while the jobs are submitted stops the others from being submitted', async () => {
    const { url: jobsUrl } = runpod;
    runs = testRuns(supabase, { embedding: connectEndpoint({ id: 'patient', apiKey: API_KEY, jobsUrl }) });
    let asked = 0;
    runpod.answer = async ({ path }) => {
      if (path !== 'run' || (asked += 1) !== 2) return undefined;
      const [whole] = await supabase.sql('select id from embedding_jobs where shard_count is not null');
      await cancelRun(runs, String(whole?.id));
      return undefined;
    };
    const { id } = await submit({ shards: 30 });
    expect((await rowOf(supabase, id)).status).toBe('cancelled');
    expect(submitted().length).toBeLessThan(30);
    const states = [...runpod.jobs.values()].map(({ status }) => status);
    expect(new Set(states)).toEqual(new Set(['CANCELLED']));
  });
});

describe('what failed is run again', () => {
  test('a failed shard alone, in its row, with its range, while the others go on', async () => {
    const { id } = await submit();
    const [, shard] = await shardsOf(id);
    const before = submitted().find(({ job_id }) => job_id === shard?.id);
    await set(
      shard?.id,
      `status = 'failed', error_message = 'the store stayed away', lease_holder = 'earlier/1'`,
    );
    const again = await retryFailed(runs, String(shard?.id));
    expect(again).toMatchObject({
      id: shard?.id,
      shards: { count: 1, submitted: 1 },
      collections: ['products_demo'],
    });
    expect(submitted()).toHaveLength(5);
    expect(submitted().at(-1)).toEqual(before);
    const row = await rowOf(supabase, String(shard?.id));
    // Its old worker, should it be alive, has no right to write any more.
    expect(row).toMatchObject({
      status: 'queued',
      error_message: null,
      completed_at: null,
      lease_holder: null,
    });
    expect(row.runpod_job_id).not.toBe(shard?.runpod_job_id);
    // Its old job has nothing more to say of it.
    runpod.jobs.set(String(shard?.runpod_job_id), { id: shard?.runpod_job_id, status: 'FAILED' });
    await reconcile(runs);
    expect((await rowOf(supabase, String(shard?.id))).status).toBe('queued');
  });

  test('while results are read: what came of the old job is not kept as what came of the new one', async () => {
    const { id } = await submit();
    const [shard] = await shardsOf(id);
    await set(shard?.id, `status = 'failed', completed_at = now()`);
    const job = String(shard?.runpod_job_id);
    runpod.jobs.set(job, { id: job, status: 'FAILED', error: 'the store stayed away' });
    runpod.answer = async ({ path }) => {
      if (path !== `status/${job}`) return undefined;
      await retryFailed(runs, String(shard?.id));
      return undefined;
    };
    await reconcile(runs);
    expect(await rowOf(supabase, String(shard?.id))).toMatchObject({ status: 'queued', result: null });
  });

  test('what RunPod calls late, of the old job, is no word on the new one', async () => {
    const { id } = await submit();
    const [shard] = await shardsOf(id);
    const [shardId, job] = [String(shard?.id), String(shard?.runpod_job_id)];
    await set(shardId, `status = 'failed'`);
    runpod.answer = async ({ path }) => {
      if (path === 'run') await takeWord(runs, 'embedding', shardId, { id: job, status: 'FAILED' });
      return undefined;
    };
    await retryFailed(runs, shardId);
    expect(await rowOf(supabase, shardId)).toMatchObject({ status: 'queued', result: null });
  });

  test('all failed shards of the whole, and then it runs', async () => {
    const { id } = await submit();
    const rows = await shardsOf(id);
    for (const [i, row] of rows.entries()) await set(row.id, `status = '${i < 2 ? 'failed' : 'completed'}'`);
    expect((await rowOf(supabase, id)).status).toBe('failed');
    expect(await retryFailed(runs, id)).toMatchObject({ id, shards: { count: 2, submitted: 2 } });
    expect(await rowOf(supabase, id)).toMatchObject({
      status: 'running',
      completed_at: null,
      error_message: null,
    });
    expect(statuses(await shardsOf(id))).toEqual(['queued', 'queued', 'completed', 'completed']);
    await expect(retryFailed(runs, id)).rejects.toMatchObject({ code: 'run_not_ended' });
  });

  test('failed images alone, by a shard for each that had any', async () => {
    const { id } = await submit();
    const rows = await shardsOf(id);
    for (const row of rows) await set(row.id, `status = 'completed'`);
    await expect(retryFailed(runs, id)).rejects.toMatchObject({ code: 'nothing_to_retry' });
    for (const i of [1, 3]) {
      await supabase.sql(
        `insert into embedding_job_failures (job_id, collection, image_id, code) values ($1, 'c', $2, 'http_404')`,
        [rows[i]?.id, `image ${i}`],
      );
    }
    const failures = await listFailures(supabase.database, { jobId: id, isWhole: true, limit: 10 });
    expect(failures.map(({ image_id }) => image_id)).toEqual(['image 1', 'image 3']);

    const again = await retryFailed(runs, id);
    expect(again.shards).toEqual({ count: 2, submitted: 2 });
    expect(again.id).not.toBe(id);
    const inputs = submitted().slice(4).map(parseEmbeddingInput);
    expect(inputs.map(({ retry_failed_of: of }) => of).toSorted()).toEqual(
      [rows[1]?.id, rows[3]?.id].toSorted(),
    );
    expect(inputs.map(({ source_config: source }) => source?.shard?.index).toSorted()).toEqual([1, 3]);
    expect((await shardsOf(again.id)).map(({ shard_index }) => shard_index)).toEqual([1, 3]);
    for (const row of await shardsOf(again.id)) await set(row.id, `status = 'completed'`);
    expect((await rowOf(supabase, again.id)).status).toBe('completed');
    // Of one shard alone it is an ordinary run.
    const alone = await retryFailed(runs, String(rows[3]?.id));
    expect(alone.shards).toBeNull();
    expect(submitted().at(-1)).toMatchObject({
      retry_failed_of: rows[3]?.id,
      source_config: { shard: { index: 3 } },
    });
  });
});

describe('what is told of it', () => {
  test('its shards with it, and in no list of runs', async () => {
    const { id } = await submit();
    const rows = await shardsOf(id);
    await set(rows[2]?.id, `status = 'running', processed_images = 7`);
    const reader = createRunReader(supabase.database, () => undefined);
    const whole = await reader.read(id);
    expect(whole).toMatchObject({ status: 'running', shard_count: 4, progress: { done: 7, total: 160 } });
    expect(whole.shards.map(({ id: shard, status }) => [shard, status])).toEqual(
      rows.map((row, i) => [row.id, i === 2 ? 'running' : 'queued']),
    );
    const shard = await reader.read(String(rows[2]?.id));
    expect(shard).toMatchObject({
      parent_id: id,
      shard_index: 2,
      shards: [],
      progress: { done: 7, total: 40 },
    });
    expect((await listRuns(supabase.database, { limit: 10 })).map((run) => run.id)).toEqual([id]);
    const ofWhole = await listRuns(supabase.database, { limit: 10, parent: id });
    expect(ofWhole.map((run) => run.id).toSorted()).toEqual(rows.map((row) => row.id).toSorted());
  });

  test('each image once, and one run, in its result and in the metrics', async () => {
    const { endpoint } = runpod;
    const { database } = supabase;
    const metrics = createMetrics({ database, endpoints: {}, log: runs.log });
    runs = testRuns(
      supabase,
      { embedding: endpoint },
      { onResult: (run, job) => metrics.runEnded(run, job) },
    );
    const { id } = await submit();
    const rows = await shardsOf(id);
    for (const [i, row] of rows.entries()) {
      await set(row.id, `status = 'completed', completed_at = now()`);
      const output = {
        status: 'success',
        total_images: 40,
        processed_count: 39 - i,
        failed_count: 1 + i,
        failed_by_code: { http_404: 1 + i },
      };
      if (i === 3) continue;
      runpod.jobs.set(String(row.runpod_job_id), { id: row.runpod_job_id, status: 'COMPLETED', output });
    }
    // One result is missing yet: it may still come.
    runpod.jobs.set(String(rows[3]?.runpod_job_id), { id: rows[3]?.runpod_job_id, status: 'IN_PROGRESS' });
    await set(rows[3]?.id, 'runpod_job_id = null');
    expect(await reconcile(runs)).toMatchObject({ results: 3 });
    expect((await rowOf(supabase, id)).result).toBeNull();
    await set(rows[3]?.id, `result = '{"total_images": 40, "processed_count": 40}'`);
    expect(await reconcile(runs)).toMatchObject({ results: 1 });
    expect(await reconcile(runs)).toMatchObject({ results: 0 });
    expect((await rowOf(supabase, id)).result).toMatchObject({
      status: 'success',
      total_images: 160,
      processed_count: 39 + 38 + 37 + 40,
      failed_count: 6,
      failed_by_code: { http_404: 6 },
    });
    const text = await metrics.text(AbortSignal.timeout(10_000));
    expect(text).toContain('gpu_handlers_runs{kind="embedding",status="completed"} 1\n');
    expect(text).toContain('gpu_handlers_runs_ended_total{kind="embedding",status="completed"} 1\n');
    expect(text).toContain('gpu_handlers_images_total{outcome="written",code=""} 114\n');
    expect(text).toContain('gpu_handlers_collections_total{outcome="created"} 1\n');
  });
});

describe('a database without the migration', () => {
  beforeAll(async () => {
    await supabase.sql(`drop function follow_shards, sum_shards, name_parent_of_failure, shards_with_failures cascade;
      alter table embedding_jobs drop column parent_job_id, drop column shard_index, drop column shard_count;
      alter table embedding_job_failures drop column parent_job_id`);
  });

  test('divides nothing, and says what it lacks', async () => {
    await expect(submit()).rejects.toMatchObject({
      issues: [{ key: 'shards', message: expect.stringContaining('20260101000012_shards.sql') }],
    });
    expect(await supabase.sql('select id from embedding_jobs')).toEqual([]);
  });

  test('does the rest as before', async () => {
    const { id, runpod_job_id } = await submit({ shards: null });
    expect((await listRuns(supabase.database, { limit: 10 })).map((run) => run.id)).toEqual([id]);
    const reader = createRunReader(supabase.database, () => undefined);
    expect(await reader.read(id)).toMatchObject({ shard_count: null, parent_id: null, shards: [] });
    runpod.jobs.set(runpod_job_id ?? '', {
      id: runpod_job_id,
      status: 'COMPLETED',
      output: { status: 'success' },
    });
    expect(await reconcile(runs)).toMatchObject({ ended: [{ id }], results: 1, failures: [] });
    const metrics = createMetrics({ database: supabase.database, endpoints: {}, log: runs.log });
    const text = await metrics.text(AbortSignal.timeout(10_000));
    expect(text).toContain('gpu_handlers_runs{kind="embedding",status="completed"} 1\n');
    await submit({ shards: null }).then((run) => cancelRun(runs, run.id));
  });
});
