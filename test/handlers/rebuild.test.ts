import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';

import { afterAll, describe, expect, test } from '@jest/globals';

import { cutoutsIn } from '../../src/embedding/cutouts-in.ts';
import { finishRebuild } from '../../src/qdrant/rebuild/finish.ts';
import { rebuildTarget } from '../../src/qdrant/rebuild/names.ts';
import { startWorker } from '../support/chaos/process.ts';
import { cutoutJob, smallSteps, STEP, type CutoutJob } from '../support/cutout-job.ts';
import {
  addProducts,
  collectionsIn,
  imagesIn,
  jobRow,
  productId,
  range,
  runJob,
  startJobCloud,
  type JobCloud,
  type Row,
} from '../support/job.ts';
import { testProxy } from '../support/proxy.ts';

// Here and not in a hook, as concurrent tests begin before hooks do. Jobs wait side by side.
const cloud: JobCloud = await startJobCloud();
const { store } = cloud.qdrant;
const handler = smallSteps(cloud);
const COUNT = 3 * STEP;

afterAll(async () => {
  await cloud[Symbol.asyncDispose]();
});

const again = (job: CutoutJob, more: Row = {}): Row => ({
  ...job.input(),
  job_id: randomUUID(),
  rebuild: {},
  ...more,
});
const fillOf = (name: string, id: unknown): string => rebuildTarget(name, String(id)).fill;
/** The collections of a name, and those beside it. */
const around = async (name: string): Promise<string[]> =>
  (await collectionsIn(cloud)).filter((other) => other.startsWith(name));
const rowOf = async (name: string): Promise<Row | undefined> =>
  (await cloud.supabase.sql('select * from embedding_collections where name = $1', [name]))[0];
const unmark = (job: CutoutJob): Promise<unknown> =>
  cloud.supabase.sql('update cutout_images set has_embedding = false where merchant = $1', [job.jobId]);

/** What is asked of Qdrant while a job runs is looked at first. */
async function watched(
  input: Row,
  look: (asked: { method: string; path: string; body: string }) => Promise<unknown> | undefined,
) {
  await using qdrant = await testProxy(cloud.qdrant.url);
  qdrant.intercept = async (asked) => {
    await look(asked);
    return undefined;
  };
  return await runJob(cloud, { ...input, qdrant_url: qdrant.url }, { handler });
}

/** Requests for the job's pictures. */
const fetchedFor = (job: CutoutJob): number =>
  job.numbers.reduce((sum, i) => sum + (cloud.images.requests.get(job.pathOf(i)) ?? 0), 0);

const isCount = ({ path }: { path: string }): boolean => path.includes('/points/count');

describe('a new collection', () => {
  test.concurrent('is there when it is whole, by an alias, and told by its own name', async () => {
    const job = await cutoutJob(cloud, COUNT);
    const name = job.collection;
    const seen: unknown[] = [];
    const input = { ...job.input(), rebuild: { replace: false } };
    const { output, messages } = await watched(input, async (asked) => {
      if (isCount(asked) && seen.length === 0) seen.push(await store.inspect(name), await job.marked());
    });
    expect(seen).toEqual([null, []]);
    const fill = fillOf(name, job.jobId);
    expect(output).toMatchObject({
      status: 'success',
      processed_count: COUNT,
      cutouts_marked: COUNT,
      collections: { [name]: { points_written: COUNT } },
      rebuilt: [{ name, collection: fill, kept: null }],
      warnings: [],
    });
    expect(messages).toContain(`[${name}] Complete: ${COUNT} processed, 0 failed`);
    expect(await around(name)).toEqual([fill]);
    expect(await imagesIn(cloud, name)).toEqual(job.ids);
    expect(await job.marked()).toEqual(job.ids);
    expect(await rowOf(name)).toMatchObject({ vector_count: COUNT, collection_type: 'cutouts' });
    expect(await rowOf(fill)).toBeUndefined();
    expect(await jobRow(cloud, job.jobId)).toMatchObject({ status: 'completed', processed_images: COUNT });
  });

  test.concurrent('that is there already is refused before an image is read', async () => {
    const job = await cutoutJob(cloud, STEP);
    await runJob(cloud, job.input(), { handler });
    const fetched = fetchedFor(job);
    const { output } = await runJob(cloud, again(job, { rebuild: { replace: false } }), { handler });
    expect(output).toMatchObject({ status: 'error', error_code: 'collection_exists' });
    expect(fetchedFor(job)).toBe(fetched);
    expect(await around(job.collection)).toEqual([job.collection]);
  });
});

describe('a collection that is replaced', () => {
  test.concurrent('answers each search until its successor does, and never half of either', async () => {
    const job = await cutoutJob(cloud, COUNT);
    const name = job.collection;
    await runJob(cloud, { ...job.input(), rebuild: {} }, { handler });
    const gone = job.ids.slice(0, 2);
    await cloud.supabase.sql('delete from cutout_images where id = any($1)', [gone]);
    const done = new AbortController();
    const found = new Set<number>();
    const searches = (async () => {
      const [point] = await Array.fromAsync(store.scroll(name, { withVectors: true, pageSize: 1 }));
      const vector = point?.[0]?.vector ?? new Float32Array();
      while (!done.signal.aborted) {
        found.add((await store.search(name, vector, { limit: 100 })).length);
        await setTimeout(5);
      }
    })();
    const input = again(job);
    const { output } = await runJob(cloud, input, { handler });
    expect(output).toMatchObject({ status: 'success', processed_count: COUNT - 2 });
    done.abort();
    await searches;
    expect([...found].filter((points) => points !== COUNT && points !== COUNT - 2)).toEqual([]);
    expect(await imagesIn(cloud, name)).toEqual(job.ids.slice(2));
    expect(await around(name)).toEqual([fillOf(name, input.job_id)]);
    expect(await rowOf(name)).toMatchObject({ vector_count: COUNT - 2 });
  });

  test.concurrent('may be a plain one, of another length even, and be kept', async () => {
    const job = await cutoutJob(cloud, STEP);
    const name = job.collection;
    await store.ensure(name, 3);
    await store.upsert(name, [{ id: 7, vector: Float32Array.of(0, 1, 0), payload: { id: 'seven' } }]);
    const input = again(job, { rebuild: { keep_replaced: true } });
    const { output } = await runJob(cloud, input, { handler });
    const { kept, fill } = rebuildTarget(name, String(input.job_id));
    expect(output).toMatchObject({ status: 'success', rebuilt: [{ name, collection: fill, kept }] });
    expect(await imagesIn(cloud, name)).toEqual(job.ids);
    expect(await imagesIn(cloud, kept)).toEqual(['seven']);
    expect((await store.inspect(kept))?.size).toBe(3);
    expect(await around(name)).toEqual([kept, fill]);
  });

  test.concurrent('products and cutouts of a job are replaced together', async () => {
    const ids = await addProducts(cloud, range(100, 103));
    const job = await cutoutJob(cloud, STEP);
    const products = `products_of_${job.jobId}`;
    const source = { type: 'both', product_collection: products };
    const filters = { product_source: 'selected', product_ids: ids };
    const input = job.input(source, filters);
    await runJob(cloud, input, { handler });
    const switched: unknown[] = [];
    const { output } = await watched({ ...input, job_id: randomUUID(), rebuild: {} }, (asked) => {
      if (!asked.path.startsWith('/collections/aliases')) return undefined;
      const { actions } = JSON.parse(asked.body) as { actions: { create_alias?: { alias_name: string } }[] };
      switched.push(actions.flatMap(({ create_alias: made }) => made?.alias_name ?? []));
      return undefined;
    });
    expect(output).toMatchObject({
      status: 'success',
      rebuilt: [{ name: products }, { name: job.collection }],
    });
    expect(switched.at(-1)).toEqual([products, job.collection]);
    expect(await imagesIn(cloud, products)).toHaveLength(ids.length);
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
    await cloud.supabase.sql('delete from products where id = any($1)', [ids]);
  });
});

describe('what is not switched to', () => {
  test.concurrent(
    'too many images failed: what served serves, no row says otherwise, and the same job goes on',
    async () => {
      const job = await cutoutJob(cloud, COUNT);
      const name = job.collection;
      await runJob(cloud, job.input(), { handler });
      await unmark(job);
      const before = await rowOf(name);
      const broken = job.numbers.slice(0, COUNT / 2);
      for (const i of broken) cloud.images.misbehave(job.pathOf(i), { status: 404 });
      const input = again(job);
      const failed = await runJob(cloud, input, { handler });
      expect(failed.output).toMatchObject({
        status: 'error',
        error_code: 'too_many_failed',
        error: expect.stringContaining(fillOf(name, input.job_id)),
        failed_count: broken.length,
        cutouts_marked: 0,
      });
      expect(failed.output.rebuilt).toBeUndefined();
      expect(await imagesIn(cloud, name)).toEqual(job.ids);
      expect(await rowOf(name)).toEqual(before);
      expect(await job.marked()).toEqual([]);
      expect(await jobRow(cloud, failed.jobId)).toMatchObject({
        status: 'failed',
        error_message: expect.stringContaining('max_failed_share'),
      });

      for (const i of broken) cloud.images.recover(job.pathOf(i));
      const fetched = fetchedFor(job);
      const { output } = await runJob(cloud, input, { handler });
      expect(output).toMatchObject({ status: 'success', processed_count: COUNT, cutouts_marked: COUNT });
      expect(fetchedFor(job) - fetched).toBe(broken.length);
      expect(await around(name)).toEqual([fillOf(name, input.job_id)]);
      expect(await job.marked()).toEqual(job.ids);
    },
  );

  test.concurrent('one broken image is no reason, unless the job says so', async () => {
    const job = await cutoutJob(cloud, STEP);
    cloud.images.misbehave(job.pathOf(job.numbers[0] ?? 0), 'truncated');
    const strict = again(job, { rebuild: { max_failed_share: 0 } });
    const refused = await runJob(cloud, strict, { handler });
    expect(refused.output).toMatchObject({ status: 'error', error_code: 'too_many_failed' });
    const { output } = await runJob(cloud, again(job), { handler });
    expect(output).toMatchObject({ status: 'success', processed_count: STEP - 1, failed_count: 1 });
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids.slice(1));
  });

  test.concurrent('all images failed', async () => {
    const job = await cutoutJob(cloud, STEP);
    await runJob(cloud, job.input(), { handler });
    for (const i of job.numbers) cloud.images.misbehave(job.pathOf(i), { status: 404 });
    const { output } = await runJob(cloud, again(job, { rebuild: { max_failed_share: 1 } }), { handler });
    expect(output).toMatchObject({ status: 'error', error_code: 'all_images_failed' });
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
    for (const i of job.numbers) cloud.images.recover(job.pathOf(i));
  });

  test.concurrent('nothing is meant: what it would replace serves, and nothing is embedded', async () => {
    const [job, other] = [await cutoutJob(cloud, STEP), await cutoutJob(cloud, STEP)];
    const input = other.input({ type: 'both', product_collection: job.collection });
    await runJob(cloud, { ...job.input(), rebuild: {} }, { handler });
    const none = { ...input, rebuild: {}, source_config: { ...(input.source_config as Row) } };
    none.source_config.filters = {
      product_source: 'selected',
      product_ids: [productId(9_999)],
      cutout_merchant_names: [other.jobId],
    };
    const { output } = await runJob(cloud, none, { handler });
    expect(output).toMatchObject({ status: 'error', error_code: 'rebuild_unverified', processed_count: 0 });
    expect(fetchedFor(other)).toBe(0);
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
    expect(await store.inspect(other.collection)).toBeNull();
  });

  test.concurrent('the page cancels the job when everything is written', async () => {
    const job = await cutoutJob(cloud, STEP);
    await runJob(cloud, job.input(), { handler });
    await cloud.supabase.sql('delete from cutout_images where id = $1', [job.ids[0]]);
    const input = again(job);
    const { output } = await watched(input, (asked) =>
      isCount(asked)
        ? cloud.supabase.sql(`update embedding_jobs set status = 'cancelled' where id = $1`, [input.job_id])
        : undefined,
    );
    expect(output).toMatchObject({ status: 'cancelled', processed_count: STEP - 1 });
    expect(output.rebuilt).toBeUndefined();
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
    expect(await jobRow(cloud, String(input.job_id))).toMatchObject({ status: 'cancelled' });
  });

  test.concurrent('points that the store has lost', async () => {
    const job = await cutoutJob(cloud, STEP);
    await runJob(cloud, job.input(), { handler });
    const input = again(job);
    const fill = fillOf(job.collection, input.job_id);
    const { output } = await watched(input, async (asked) => {
      if (!isCount(asked)) return;
      const shape = await store.inspect(fill);
      await store.drop(fill);
      await store.ensure(fill, shape?.size ?? 1);
    });
    expect(output).toMatchObject({ status: 'error', error_code: 'rebuild_unverified' });
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
  });
});

describe('a worker that is killed', () => {
  test.concurrent.each<[string, (asked: { method: string; path: string; body: string }) => boolean, boolean]>(
    [
      ['while it fills', ({ method, path }) => method === 'PUT' && path.includes('/points'), true],
      ['when all is written', isCount, true],
      ['when what it replaces is gone', ({ method }) => method === 'DELETE', false],
    ],
  )('%s: the same job, run again, ends as if nothing had been', async (_, dies, serves) => {
    const job = await cutoutJob(cloud, COUNT);
    const name = job.collection;
    await runJob(cloud, job.input(), { handler });
    await unmark(job);
    const input = again(job);
    await using qdrant = await testProxy(cloud.qdrant.url);
    await using worker = startWorker({
      model_type: 'demo',
      ...cloud.credentials,
      ...input,
      qdrant_url: qdrant.url,
    });
    let dead = false;
    qdrant.intercept = (asked) => {
      if (dead) return Promise.resolve('drop');
      dead = dies(asked);
      // The store does what it was asked for; nobody hears of it.
      if (dead) worker.kill('SIGKILL');
      return Promise.resolve(undefined);
    };
    expect(await worker.ended).toEqual({ code: null, signal: 'SIGKILL' });
    if (serves) expect(await imagesIn(cloud, name)).toEqual(job.ids);
    else expect(await store.inspect(name)).toBeNull();
    expect(await job.marked()).toEqual([]);

    const { output } = await runJob(cloud, input, { handler });
    expect(output).toMatchObject({ status: 'success', processed_count: COUNT, cutouts_marked: COUNT });
    expect(await imagesIn(cloud, name)).toEqual(job.ids);
    expect(await around(name)).toEqual([fillOf(name, input.job_id)]);
    expect([...(await store.aliases()).keys()].filter((alias) => alias.startsWith(name))).toEqual([name]);
    expect(await job.marked()).toEqual(job.ids);
  });
});

describe('others at the same collection', () => {
  test.concurrent('an append goes to what the alias names', async () => {
    const job = await cutoutJob(cloud, STEP);
    await runJob(cloud, { ...job.input(), rebuild: {} }, { handler });
    const more = await cutoutJob(cloud, STEP);
    const append = more.input({ append_only_new: true, cutout_collection: job.collection });
    const { output } = await runJob(cloud, append, { handler });
    expect(output).toMatchObject({ status: 'success', processed_count: STEP, warnings: [] });
    expect(await imagesIn(cloud, job.collection)).toEqual([...job.ids, ...more.ids]);
    expect(await around(job.collection)).toEqual([fillOf(job.collection, job.jobId)]);
  });

  test.concurrent(
    'an append during which it is replaced has failed, and adds what it lacks when it runs again',
    async () => {
      const job = await cutoutJob(cloud, STEP);
      const name = job.collection;
      await runJob(cloud, { ...job.input(), rebuild: {} }, { handler });
      const more = await cutoutJob(cloud, COUNT);
      const append = more.input({ append_only_new: true, cutout_collection: name });
      let writes = 0;
      const { output } = await watched(append, async ({ method, path }) => {
        if (method !== 'PUT' || !path.includes('/points') || ++writes !== 2) return;
        await runJob(cloud, again(job), { handler });
      });
      expect(output).toMatchObject({ status: 'error', error_code: 'collection_changed' });
      const { output: second } = await runJob(cloud, append, { handler });
      expect(second).toMatchObject({ status: 'success', processed_count: COUNT });
      expect(await imagesIn(cloud, name)).toEqual([...job.ids, ...more.ids]);
    },
  );

  test.concurrent('an append to what is being rebuilt is told so', async () => {
    const job = await cutoutJob(cloud, STEP);
    await runJob(cloud, job.input(), { handler });
    await runJob(cloud, again(job, { rebuild: { switch: false } }), { handler });
    const append = { ...job.input({ append_only_new: true }), job_id: randomUUID() };
    const { output } = await runJob(cloud, append, { handler });
    expect(output.warnings).toEqual([expect.stringContaining('is being rebuilt')]);
  });

  test.concurrent('of two rebuilds the first to end serves, and the other has failed', async () => {
    const job = await cutoutJob(cloud, STEP);
    await runJob(cloud, job.input(), { handler });
    const [first, second] = [again(job), again(job)];
    const { output } = await watched(first, async (asked) => {
      if (isCount(asked)) await runJob(cloud, second, { handler });
    });
    expect(output).toMatchObject({ status: 'error', error_code: 'collection_changed' });
    expect((await store.aliases()).get(job.collection)).toBe(fillOf(job.collection, second.job_id));
    expect(await imagesIn(cloud, job.collection)).toEqual(job.ids);
  });
});

test.concurrent(
  'jobs that share a rebuild fill one collection, and who has divided the work switches',
  async () => {
    const [a, b] = [await cutoutJob(cloud, STEP), await cutoutJob(cloud, STEP)];
    const name = a.collection;
    const id = randomUUID();
    const rebuild = { id, switch: false };
    for (const job of [a, b]) {
      const input = { ...job.input({ cutout_collection: name }), rebuild };
      const { output } = await runJob(cloud, input, { handler });
      expect(output).toMatchObject({ status: 'success', processed_count: STEP, cutouts_marked: 0 });
      expect(output.rebuilt).toBeUndefined();
      expect(await job.marked()).toEqual([]);
    }
    expect(await store.inspect(name)).toBeNull();
    expect(await rowOf(name)).toBeUndefined();
    const fill = fillOf(name, id);
    const [point] = (await Array.fromAsync(store.scroll(fill, { withVectors: true, pageSize: 1 })))[0] ?? [];
    const rebuilt = await finishRebuild({
      store,
      rebuild: { id, replace: true, keepReplaced: false },
      parts: new Map([[name, { points: 2 * STEP, failed: 0 }]]),
      model: { fingerprint: String(point?.payload.model), dim: point?.vector?.length ?? 0 },
      maxFailedShare: 0.01,
      warn: () => undefined,
    });
    expect(rebuilt).toEqual([{ name, collection: fill, kept: null }]);
    expect(await imagesIn(cloud, name)).toEqual([...a.ids, ...b.ids]);
    const tally = { total: 8, points_written: 8, product: 0, cutout: 8, unchanged: 0, failed: 0 };
    const { signal } = new AbortController();
    const cutouts = (await Array.fromAsync(cutoutsIn(new Map([[name, tally]]), store, signal))).flat();
    expect(cutouts.map((cutout) => cutout.id)).toEqual([...a.ids, ...b.ids]);
  },
);

test.each<[string, Row]>([
  ['source_config.append_only_new', { source_config: { type: 'products', append_only_new: true } }],
  ['retry_failed_of', { retry_failed_of: productId(1) }],
  ['collection_name', { collection_name: 'x'.repeat(201) }],
  ['rebuild.max_failed_share', { rebuild: { max_failed_share: 2 } }],
  // Its job would say that it is completed, and nobody would switch.
  ['rebuild.switch', { source_config: { type: 'products', shard: { index: 0, of: 1 } } }],
])('%s is refused beside it', async (key, more) => {
  const input = { collection_name: 'c', source_config: { type: 'products' }, rebuild: {}, ...more };
  await expect(runJob(cloud, input, { row: null, handler })).rejects.toMatchObject({
    code: 'invalid_input',
    message: expect.stringContaining(key),
  });
});
