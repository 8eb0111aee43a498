import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { readSettings } from '../../../src/base/settings.ts';
import type { ModelType } from '../../../src/model/catalogue.ts';
import { findModelFiles } from '../../../src/model/files.ts';
import { hubOptions } from '../../../src/model/hub/hub.ts';
import { loadEmbeddingModel } from '../../../src/model/load.ts';
import { rejection } from '../../http/support.ts';
import { gitHashOf, sha256Of } from '../../support/hub.ts';
import { CPU, folder } from '../support.ts';
import { hubTest, ONE_FILE, oneFile, repositoryFolder, sourceOf, TWO_FILES, twoFiles } from './support.ts';

const GRAPH = 'onnx/model.onnx';
const RECORD = 'gpu-handlers.lock.json';
const COMMIT = 'd'.repeat(40);

/** A cache as the hub's own tools leave it: blobs by hash, and links to them. */
async function toolsCache(
  cacheDir: string,
  modelType: ModelType,
  files: Record<string, Uint8Array | string>,
  options: { mainRef?: boolean; commit?: string } = {},
): Promise<string> {
  const repository = repositoryFolder(cacheDir, modelType);
  const { commit = COMMIT, mainRef = true } = options;
  const root = join(repository, 'snapshots', commit);
  await mkdir(join(repository, 'blobs'), { recursive: true });
  await mkdir(join(repository, 'refs'), { recursive: true });
  if (mainRef) await writeFile(join(repository, 'refs', 'main'), commit);
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content as Uint8Array);
    const blob = join(repository, 'blobs', bytes.length < 2000 ? gitHashOf(bytes) : sha256Of(bytes));
    const link = join(root, name);
    await mkdir(dirname(link), { recursive: true });
    await writeFile(blob, bytes);
    await symlink(relative(dirname(link), blob), link);
  }
  return root;
}

describe('in a cache that others made', () => {
  test.each([
    [ONE_FILE, oneFile()],
    [TWO_FILES, twoFiles()],
  ] as const)('%s: loaded from its links without a request', async (modelType, files) => {
    await using t = await hubTest();
    await toolsCache(t.cache.path, modelType, files);
    await using model = await loadEmbeddingModel({ ...CPU, modelType, hub: t.hub(), batchSize: 1 });
    expect(model.dim).toBe(64);
    expect(t.server.requests).toEqual([]);
  });

  test('the platform’s goes first, then the local one', async () => {
    await using t = await hubTest();
    await using platform = await folder();
    const local = await toolsCache(t.cache.path, ONE_FILE, oneFile());
    const options = { platformCacheDir: platform.path };
    expect(await t.find(ONE_FILE, options)).toEqual({ root: local, graph: join(local, GRAPH) });
    const kept = await toolsCache(platform.path, ONE_FILE, oneFile(2));
    expect(await t.find(ONE_FILE, options)).toEqual({ root: kept, graph: join(kept, GRAPH) });
  });

  test('without a name for the commit: the only one, and not one of two', async () => {
    await using t = await hubTest();
    const root = await toolsCache(t.cache.path, ONE_FILE, oneFile(), { mainRef: false });
    expect(await t.find(ONE_FILE, { offline: true })).toMatchObject({ root });
    await toolsCache(t.cache.path, ONE_FILE, oneFile(2), { mainRef: false, commit: 'e'.repeat(40) });
    expect(await t.find(ONE_FILE, { offline: true })).toHaveProperty('lookedFor');
  });

  test('half of a model: the rest is fetched, of the same commit', async () => {
    await using t = await hubTest();
    const files = twoFiles();
    const commit = t.server.publish(sourceOf(TWO_FILES).repository, files);
    t.server.publish(sourceOf(TWO_FILES).repository, twoFiles('model.onnx_data', 2));
    await toolsCache(t.cache.path, TWO_FILES, { [GRAPH]: files[GRAPH] as Uint8Array }, { commit });
    await using model = await loadEmbeddingModel({
      ...CPU,
      modelType: TWO_FILES,
      hub: t.hub(),
      batchSize: 1,
    });
    expect(model.dim).toBe(64);
    expect(t.server.bodies().map(({ file }) => file)).toEqual([
      'onnx/model.onnx_data',
      'preprocessor_config.json',
    ]);
  });

  test('a file whose content is not what its name says is refused', async () => {
    await using t = await hubTest();
    const root = await toolsCache(t.cache.path, ONE_FILE, oneFile());
    await writeFile(join(root, 'preprocessor_config.json'), '{}');
    const error = await rejection(t.find(ONE_FILE));
    expect(error).toMatchObject({ code: 'model_changed' });
    expect(error.message).toContain('preprocessor_config.json');
  });
});

describe('what was recorded and is another now', () => {
  test.each([
    ['onnx/model.onnx_data', (bytes: Buffer) => void (bytes[100] = (bytes[100] ?? 0) ^ 1)],
    ['preprocessor_config.json', (bytes: Buffer) => bytes.fill(' ', 0, 1)],
  ])('%s is refused by name', async (name, change) => {
    await using t = await hubTest();
    const commit = t.server.publish(sourceOf(TWO_FILES).repository, twoFiles());
    await t.find(TWO_FILES);
    const path = t.at(TWO_FILES, commit, name);
    const bytes = await readFile(path);
    change(bytes);
    await writeFile(path, bytes);
    const loading = loadEmbeddingModel({ ...CPU, modelType: TWO_FILES, hub: t.hub() });
    const error = await rejection(loading);
    expect(error).toMatchObject({ code: 'model_changed', retryable: false });
    expect(error.message).toContain(path);
  });

  test('gone, too; and with the snapshot removed it is fetched again', async () => {
    await using t = await hubTest();
    const commit = t.server.publish(sourceOf(ONE_FILE).repository, oneFile());
    await t.find(ONE_FILE);
    await rm(t.at(ONE_FILE, commit, 'preprocessor_config.json'));
    expect(await rejection(t.find(ONE_FILE))).toMatchObject({ code: 'model_changed' });
    await rm(dirname(t.at(ONE_FILE, commit, RECORD)), { recursive: true });
    t.server.requests.length = 0;
    expect(await t.find(ONE_FILE)).toHaveProperty('graph');
    // The blobs were still right.
    expect(t.server.bodies()).toEqual([]);
  });

  test('a cache that others made is recorded when it is first used', async () => {
    await using t = await hubTest();
    const root = await toolsCache(t.cache.path, ONE_FILE, oneFile());
    await t.find(ONE_FILE);
    const other = oneFile(2)[GRAPH] as Uint8Array;
    await rm(join(root, GRAPH));
    await writeFile(join(root, GRAPH), other);
    expect(await rejection(t.find(ONE_FILE))).toMatchObject({ code: 'model_changed' });
    await rm(join(root, RECORD));
    expect(await t.find(ONE_FILE)).toMatchObject({ root });
  });

  test('copied to MODEL_DIR with its record, it is held to it there', async () => {
    await using models = await folder();
    const graph = oneFile()[GRAPH] as Uint8Array;
    await models.write(`${ONE_FILE}/${GRAPH}`, graph);
    const record = { sha256: sha256Of(graph), size: graph.length };
    const files = { [GRAPH]: record };
    await models.write(`${ONE_FILE}/${RECORD}`, JSON.stringify({ repository: 'a/b', commit: COMMIT, files }));
    const options = { modelType: ONE_FILE, modelDir: models.path } as const;
    expect((await findModelFiles(options)).bytes).toHaveLength(graph.length);
    await models.write(`${ONE_FILE}/${GRAPH}`, oneFile(2)[GRAPH] as Uint8Array);
    expect(await rejection(findModelFiles(options))).toMatchObject({ code: 'model_changed' });
    await models.write(`${ONE_FILE}/${RECORD}`, '{');
    expect(await rejection(findModelFiles(options))).toMatchObject({ code: 'model_changed' });
  });
});

test('MODEL_DIR goes before all caches', async () => {
  await using t = await hubTest();
  await using models = await folder();
  const graph = oneFile(3)[GRAPH] as Uint8Array;
  const path = await models.write(`${ONE_FILE}/model.onnx`, graph);
  await toolsCache(t.cache.path, ONE_FILE, oneFile());
  const found = await findModelFiles({ modelType: ONE_FILE, modelDir: models.path, hub: t.hub() });
  expect(found.where).toBe(path);
});

test('offline: no request, and the error says what is missing and where it was looked for', async () => {
  await using t = await hubTest();
  t.server.publish(sourceOf(TWO_FILES).repository, twoFiles());
  const files = { [GRAPH]: twoFiles()[GRAPH] as Uint8Array };
  const root = await toolsCache(t.cache.path, TWO_FILES, files);
  const hub = t.hub({ offline: true, platformCacheDir: '/nowhere/hub' });
  const error = await rejection(findModelFiles({ modelType: TWO_FILES, modelDir: '/nowhere/models', hub }));
  expect(error).toMatchObject({ code: 'model_missing' });
  for (const part of [
    'HF_HUB_OFFLINE',
    '/nowhere/models/dinov3-small/model.onnx',
    `/nowhere/hub/models--onnx-community--dinov3-vits16`,
    join(root, 'onnx/model.onnx_data'),
  ]) {
    expect(error.message).toContain(part);
  }
  expect(t.server.requests).toEqual([]);
});

test.each([
  [{ HF_HUB_CACHE: '/a/cache', HF_HOME: '/a/home' }, '/a/cache'],
  [{ HF_HOME: '/a/home' }, '/a/home/hub'],
  [{}, /\/\.cache\/huggingface\/hub$/],
  [{ HF_HOME: '~/models' }, /^\/(?!.*~).*\/models\/hub$/],
])('the local cache by %j', (environment, cacheDir) => {
  expect(hubOptions(readSettings(environment)).cacheDir).toMatch(cacheDir);
});

test.each([
  ['1', true],
  ['ON', true],
  ['yes', true],
  ['True', true],
  ['0', false],
  ['off', false],
  ['No', false],
  ['2', false],
])('HF_HUB_OFFLINE=%s is %s, as for the hub’s own tools', (value, offline) => {
  expect(hubOptions(readSettings({ HF_HUB_OFFLINE: value }))).toMatchObject({ offline });
});

test('address and offline by the environment', () => {
  const settings = readSettings({ HF_ENDPOINT: 'https://mirror.example', HF_HUB_OFFLINE: '1' });
  expect(hubOptions(settings)).toMatchObject({ endpoint: 'https://mirror.example', offline: true });
  expect(hubOptions(readSettings({}))).toMatchObject({ offline: false });
});
