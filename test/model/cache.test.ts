import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { StoppedError } from '../../src/base/errors.ts';
import { SILENT_LOG } from '../../src/base/log.ts';
import { sleep } from '../../src/flow/time.ts';
import { outputSize } from '../../src/image/preprocessing.ts';
import { createModelCache, type ModelCache } from '../../src/model/cache.ts';
import type { EmbeddingModel } from '../../src/model/embedding-model.ts';
import { loadEmbeddingModel, type LoadOptions } from '../../src/model/load.ts';
import { createSession, type Session } from '../../src/model/session.ts';
import { chosenSizes, CPU, failingOnLight, SIDE, sized, SMALL } from './support.ts';

const DEMO: LoadOptions = {
  modelType: 'demo',
  providers: ['cpu'],
  requireGpu: false,
  batchSize: 2,
  threads: 1,
  log: SILENT_LOG,
};

let cache: ModelCache;

beforeEach(() => {
  cache = createModelCache();
});

afterEach(async () => {
  await cache.close();
});

test('one session serves the jobs that ask for the same, one after another and together', async () => {
  const first = await cache.lease(DEMO);
  const second = await cache.lease({ ...DEMO });
  expect(second.model).toBe(first.model);
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  expect((await cache.lease(DEMO)).model).toBe(first.model);
});

test('another model releases the one that nobody holds, and never one that somebody does', async () => {
  const held = await cache.lease(DEMO);
  const other = await cache.lease({ ...DEMO, batchSize: 3 });
  const { width, height } = outputSize(held.model.preprocessing);
  const pixels = new Uint8Array(width * height * 3);
  expect(await held.model.embed(pixels, 1)).toHaveLength(held.model.dim);
  await held[Symbol.asyncDispose]();
  await cache.lease({ ...DEMO, batchSize: 4 });
  await expect(held.model.embed(pixels, 1)).rejects.toMatchObject({ code: 'model_closed' });
  expect(await other.model.embed(pixels, 1)).toHaveLength(other.model.dim);
});

test('what failed to load is tried afresh', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gpu-handlers-cache-'));
  const missing: LoadOptions = { ...DEMO, modelType: 'dinov2-small', modelDir: folder };
  await expect(cache.lease(missing)).rejects.toMatchObject({ name: 'ModelError' });
  await expect(cache.lease(missing)).rejects.toMatchObject({ name: 'ModelError' });
  expect((await cache.lease(DEMO)).model.modelType).toBe('demo');
  await rm(folder, { recursive: true });
});

/** A session in a real thread, as a model. */
function modelOf(session: Session): EmbeddingModel {
  return {
    modelType: 'demo',
    name: 'failing',
    dim: session.dim,
    fingerprint: 'failing',
    preprocessing: SMALL,
    provider: session.provider,
    batchSize: session.batchSize,
    sizes: chosenSizes(session.batchSize),
    get stopped() {
      return session.stopped;
    },
    embed: (pixels, count) => session.embed(pixels, count),
    close: () => session.close(),
    [Symbol.asyncDispose]: () => session.close(),
  };
}

const SIZE = { width: SIDE, height: SIDE, fixedBatch: null, ...sized(1) };
const DARK = new Uint8Array(SIDE * SIDE * 3);
const LIGHT = new Uint8Array(SIDE * SIDE * 3).fill(255);

/** A thread that answers one call with an error and dies. */
const DYING = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.postMessage({ type: 'ready', dim: 3, provider: 'cpu', batchSize: 1, failures: [] });
    parentPort.once('message', () => { throw new Error('the end'); });
  `)}`,
);

test.each([
  ['its thread died', { thread: DYING }, 'model_thread_stopped'],
  ['a run failed in it', {}, 'inference_failed'],
])('a model is not given to the next job when %s', async (_, thread, code) => {
  const loaded: EmbeddingModel[] = [];
  await using own = createCache(async () => {
    const session = await createSession({ ...CPU, ...SIZE, ...failingOnLight(), ...thread });
    loaded.push(modelOf(session));
    return modelOf(session);
  });
  const first = await own.cache.lease(DEMO);
  const beside = await own.cache.lease(DEMO);
  await expect(first.model.embed(LIGHT, 1)).rejects.toMatchObject({ code });
  expect(first.model.stopped).toBe(true);
  await first[Symbol.asyncDispose]();
  // Others still hold the broken one.
  const next = await own.cache.lease(DEMO);
  expect(next.model).not.toBe(beside.model);
  expect(next.model.stopped).toBe(false);
  expect((await own.cache.lease(DEMO)).model).toBe(next.model);
  expect(loaded).toHaveLength(2);
  await beside[Symbol.asyncDispose]();
  // The last one has left it: it is closed, and the fresh one is not.
  await expect(beside.model.embed(DARK, 1)).rejects.toMatchObject({
    code: code === 'inference_failed' ? 'model_closed' : code,
  });
  expect(next.model.stopped).toBe(false);
});

test('the wait for a model ends with the job’s signal; the load goes on for the next job', async () => {
  const { promise: file, resolve: arrived } = Promise.withResolvers<undefined>();
  let loads = 0;
  await using own = createCache(async (options) => {
    loads += 1;
    await file;
    return loadEmbeddingModel(options);
  });
  const stop = new AbortController();
  const reason = new StoppedError('cancelled', 'the job was cancelled');
  const waiting = own.cache.lease(DEMO, stop.signal);
  const given = own.cache.lease({ ...DEMO, signal: stop.signal });
  const other = own.cache.lease(DEMO, new AbortController().signal);
  stop.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(given).rejects.toBe(reason);
  await expect(own.cache.lease(DEMO, stop.signal)).rejects.toBe(reason);
  arrived(undefined);
  expect((await other).model.stopped).toBe(false);
  expect((await own.cache.lease(DEMO)).model).toBe((await other).model);
  expect(loads).toBe(1);
});

test('closing ends a load that somebody waits for', async () => {
  const own = createCache(async ({ signal }) => {
    await sleep(60_000, signal);
    throw new Error('it was not told');
  });
  const waiting = own.cache.lease(DEMO);
  waiting.catch(() => undefined);
  // A turn for the lease to begin its load.
  await sleep(1);
  await own.cache.close();
  await expect(waiting).rejects.toMatchObject({ code: 'shutdown' });
});

function createCache(load: (options: LoadOptions) => Promise<EmbeddingModel>) {
  const own = createModelCache(load);
  return { cache: own, [Symbol.asyncDispose]: () => own.close() };
}
