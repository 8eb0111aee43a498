import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { SILENT_LOG } from '../../src/base/log.ts';
import { outputSize } from '../../src/image/preprocessing.ts';
import { createModelCache, type ModelCache } from '../../src/model/cache.ts';
import type { LoadOptions } from '../../src/model/load.ts';

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
