import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { loadEmbeddingModel } from '../../../src/model/load.ts';
import { buildTinyVit } from '../../../src/model/small/tiny-models.ts';
import { gitHashOf, sha256Of, type Fault, type HubRequest } from '../../support/hub.ts';
import { rejection } from '../../http/support.ts';
import { CPU, maxDifference, plainRun, randomPixels, rowsOf, unitRows } from '../support.ts';
import {
  hubTest,
  incompleteBytes,
  ONE_FILE,
  oneFile,
  repositoryFolder,
  sourceOf,
  TWO_FILES,
  twoFiles,
} from './support.ts';

const GRAPH = 'onnx/model.onnx';
const DATA = 'onnx/model.onnx_data';
const files = oneFile();
const graph = files[GRAPH] as Uint8Array;
const HALF = Math.floor(graph.length / 2);

/** These faults one after another for the graph's bytes, then none. */
function inTurn(...faults: Fault[]): (request: HubRequest) => Fault | undefined {
  let turn = 0;
  return ({ server, file }) => (server === 'store' && file === GRAPH ? faults[turn++] : undefined);
}

describe('a model that is not here is fetched, once', () => {
  test.each([
    [ONE_FILE, files, [GRAPH]],
    [TWO_FILES, twoFiles(), [GRAPH, DATA]],
  ] as const)('%s: whole, of one commit, recorded, and loaded', async (modelType, published, large) => {
    await using t = await hubTest();
    const commit = t.server.publish(sourceOf(modelType).repository, published);
    const hub = t.hub();
    await using model = await loadEmbeddingModel({ ...CPU, modelType, hub, batchSize: 2 });
    const pixels = randomPixels(2);
    const expected = unitRows(await plainRun(buildTinyVit({ dim: 64 }), 'last_hidden_state', pixels, 2));
    expect(maxDifference(rowsOf(await model.embed(pixels, 2), model.dim), expected)).toBeLessThan(1e-5);

    const names = [...large, 'preprocessor_config.json'];
    expect(t.server.bodies().map(({ file }) => file)).toEqual(names);
    const revisions = t.server.requests.map(({ revision }) => revision);
    expect(new Set(revisions.slice(1))).toEqual(new Set([commit]));
    const root = dirname(t.at(modelType, commit, 'x'));
    const record = JSON.parse(await readFile(join(root, 'gpu-handlers.lock.json'), 'utf8')) as unknown;
    expect(record).toEqual({
      repository: sourceOf(modelType).repository,
      commit,
      files: Object.fromEntries(
        names.map((name) => {
          const bytes = Buffer.from(published[name] as Uint8Array);
          return [name, { sha256: sha256Of(bytes), size: bytes.length }];
        }),
      ),
    });
    // Really beside each other, and stored once.
    const folders = await Promise.all(large.map(async (name) => dirname(await realpath(join(root, name)))));
    expect(new Set(folders)).toEqual(new Set([await realpath(join(root, 'onnx'))]));
    const blobs = join(repositoryFolder(t.cache.path, modelType), 'blobs');
    const hashes = [
      ...large.map((name) => sha256Of(published[name] as Uint8Array)),
      gitHashOf(Buffer.from(published['preprocessor_config.json'] as string)),
    ];
    expect((await readdir(blobs)).sort()).toEqual(hashes.sort());
    const [inBlobs, inSnapshot] = await Promise.all([
      lstat(join(blobs, sha256Of(published[GRAPH] as Uint8Array))),
      lstat(join(root, GRAPH)),
    ]);
    expect(inSnapshot.ino).toBe(inBlobs.ino);

    const asked = t.server.requests.length;
    expect(await hub.find(sourceOf(modelType), { log: t.log })).toEqual({ root, graph: join(root, GRAPH) });
    expect(t.server.requests).toHaveLength(asked);
  });

  test('a new commit while one is under way: all files are of the first', async () => {
    await using t = await hubTest();
    const { repository } = sourceOf(TWO_FILES);
    const first = t.server.publish(repository, twoFiles());
    t.server.fault = ({ method, file }) => {
      if (method === 'GET' && file === DATA) t.server.publish(repository, twoFiles('model.onnx_data', 2));
      return undefined;
    };
    expect(await t.find(TWO_FILES)).toMatchObject({ root: dirname(t.at(TWO_FILES, first, 'x')) });
    expect(sha256Of(await readFile(t.at(TWO_FILES, first, DATA)))).toBe(
      sha256Of(twoFiles()[DATA] as Uint8Array),
    );
  });

  test('without a processor: the catalogue’s, with a warning', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(ONE_FILE).repository, { [GRAPH]: graph });
    await t.find(ONE_FILE);
    expect(t.log.lines).toContainEqual(expect.objectContaining({ level: 'warn' }));
  });
});

describe('a network as it is', () => {
  test('cut off again and again: it goes on where it was', async () => {
    await using t = await hubTest();
    const commit = t.server.publish(sourceOf(ONE_FILE).repository, files);
    t.server.fault = inTurn(...Array.from({ length: 12 }, () => ({ cutAfter: 1000 })));
    await t.find(ONE_FILE);
    const got = t.server.bodies(GRAPH);
    expect(got.map(({ range }) => range)).toEqual([
      undefined,
      ...Array.from({ length: 12 }, (_, i) => `bytes=${(i + 1) * 1000}-`),
    ]);
    expect(got.reduce((sum, { sent }) => sum + sent, 0)).toBe(graph.length);
    expect(sha256Of(await readFile(t.at(ONE_FILE, commit, GRAPH)))).toBe(sha256Of(graph));
  });

  test('a server that does not know ranges: it starts over', async () => {
    await using t = await hubTest();
    const commit = t.server.publish(sourceOf(ONE_FILE).repository, files);
    t.server.fault = inTurn({ cutAfter: HALF }, { ignoreRange: true });
    await t.find(ONE_FILE);
    expect(t.server.bodies(GRAPH).map(({ sent }) => sent)).toEqual([HALF, graph.length]);
    expect(sha256Of(await readFile(t.at(ONE_FILE, commit, GRAPH)))).toBe(sha256Of(graph));
  });

  test('429 and 503, for the name and for the bytes', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(ONE_FILE).repository, files);
    let turn = 0;
    const busy: Fault[] = [
      { status: 429, headers: { 'retry-after': '0' } },
      { status: 429, headers: { ratelimit: '"resolvers";r=0;t=0' } },
      { status: 503 },
    ];
    t.server.fault = ({ server, file }) => {
      if (file !== GRAPH) return undefined;
      turn += 1;
      if (turn <= 3) return busy[turn - 1];
      return server === 'store' && turn < 10 ? busy[turn % 3] : undefined;
    };
    await t.find(ONE_FILE);
    expect(t.server.bodies(GRAPH)).toHaveLength(1);
    const refused = t.server.requests.filter(({ file, sent }) => file === GRAPH && sent === 0);
    expect(refused.length).toBeGreaterThan(5);
  });

  test('an address that grew old is resolved afresh, and the rest is fetched', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(ONE_FILE).repository, files);
    t.server.fault = inTurn({ cutAfter: HALF }, { status: 403 });
    await t.find(ONE_FILE);
    expect(t.server.bodies(GRAPH).map(({ sent }) => sent)).toEqual([HALF, graph.length - HALF]);
    const names = t.server.requests.filter(
      (r) => r.server === 'hub' && r.method === 'GET' && r.file === GRAPH,
    );
    expect(names).toHaveLength(3);
  });

  test('broken off after each byte: it ends, what came stays', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(ONE_FILE).repository, files);
    t.server.fault = ({ server, file }) =>
      server === 'store' && file === GRAPH ? { cutAfter: 1 } : undefined;
    const error = await rejection(t.find(ONE_FILE));
    expect(error).toMatchObject({ code: 'model_download_failed', retryable: true });
    expect(error.message).toMatch(/model\.onnx .*broke 200 times/);
    expect(await incompleteBytes(t.cache.path)).toBe(200);
  });

  test('away for good: what came stays, and the next run goes on', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(ONE_FILE).repository, files);
    let isAway = false;
    t.server.fault = ({ server, file }) => {
      if (server !== 'store' || file !== GRAPH) return undefined;
      if (isAway) return { status: 502 };
      isAway = true;
      return { cutAfter: HALF };
    };
    expect(await rejection(t.find(ONE_FILE))).toMatchObject({
      code: 'model_download_failed',
      retryable: true,
    });
    t.server.requests.length = 0;
    t.server.fault = () => undefined;
    await t.find(ONE_FILE);
    expect(t.server.bodies(GRAPH)).toMatchObject([{ range: `bytes=${HALF}-`, sent: graph.length - HALF }]);
  });

  test('a server that drips: it ends in time, what came stays, and the next run goes on', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(ONE_FILE).repository, files);
    t.server.fault = inTurn({ dripMs: 5 });
    const error = await rejection(t.find(ONE_FILE, { fileDeadlineMs: 400 }));
    expect(error).toMatchObject({ code: 'model_download_failed', retryable: true });
    expect(error.message).toMatch(/model\.onnx of .* did not come within 0\.4 s/);
    const came = await incompleteBytes(t.cache.path);
    expect(came).toBeGreaterThan(0);
    await t.find(ONE_FILE);
    expect(t.server.bodies(GRAPH)).toMatchObject([{ range: `bytes=${came}-` }]);
  });

  test('stopped by the job: what came stays', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(ONE_FILE).repository, files);
    const stop = new AbortController();
    t.server.fault = ({ server, file }) => {
      if (server === 'store' && file === GRAPH) stop.abort(new TypeError('enough'));
      return undefined;
    };
    const stopped = t.hub().find(sourceOf(ONE_FILE), { log: t.log, signal: stop.signal });
    expect(await rejection(stopped)).toMatchObject({ message: 'enough' });
    expect(await readdir(join(t.cache.path, '.locks'), { recursive: true })).toHaveLength(1);
    t.server.fault = () => undefined;
    expect(await t.find(ONE_FILE)).toHaveProperty('graph');
  });
});

describe('a hub that lies is not believed', () => {
  const wrong = Buffer.alloc(graph.length, 7);
  test.each<[string, (t: Awaited<ReturnType<typeof hubTest>>) => void, RegExp]>([
    ['about the hash', (t) => t.server.lies.set(GRAPH, { hash: 'a'.repeat(64) }), /hub promises a{64}/],
    ['about the size: more', (t) => t.server.lies.set(GRAPH, { size: graph.length + 1 }), /bytes/],
    ['about the size: less', (t) => t.server.lies.set(GRAPH, { size: graph.length - 1 }), /bytes/],
    ['with other bytes', (t) => (t.server.fault = inTurn({ body: wrong }, { body: wrong })), /its hash is/],
    [
      'with more bytes than it promised, without saying how many',
      (t) => (t.server.fault = inTurn({ body: Buffer.concat([graph, wrong]), unsized: true })),
      /longer than the \d+ bytes/,
    ],
    [
      'with another part than was asked for',
      (t) =>
        (t.server.fault = inTurn(
          { cutAfter: HALF },
          { contentRange: `bytes 0-${graph.length - 1}/${graph.length}` },
        )),
      /asked from byte \d+ of \d+, the answer is bytes 0-/,
    ],
    [
      'with a part of another file',
      (t) =>
        (t.server.fault = inTurn(
          { cutAfter: HALF },
          { contentRange: `bytes ${HALF}-${graph.length}/${graph.length + 1}` },
        )),
      /asked from byte/,
    ],
    [
      'about a small file',
      (t) => t.server.lies.set('preprocessor_config.json', { hash: 'b'.repeat(40) }),
      /preprocessor_config\.json.*promises b{40}/s,
    ],
    [
      'about the commit of a later file',
      (t) => t.server.lies.set('preprocessor_config.json', { commit: 'c'.repeat(40) }),
      /c{40}/,
    ],
  ])('%s', async (_, lie, message) => {
    await using t = await hubTest();
    const commit = t.server.publish(sourceOf(ONE_FILE).repository, files);
    lie(t);
    const error = await rejection(t.find(ONE_FILE));
    expect(error).toMatchObject({ code: 'model_download_invalid', retryable: false });
    expect(error.message).toMatch(message);
    // Nothing of it is taken for a model, then or later.
    expect(await t.find(ONE_FILE, { offline: true })).toHaveProperty('lookedFor');
    t.server.lies.clear();
    t.server.fault = () => undefined;
    await t.find(ONE_FILE);
    expect(sha256Of(await readFile(t.at(ONE_FILE, commit, GRAPH)))).toBe(sha256Of(graph));
  });

  test('about the commit that an earlier run had begun with', async () => {
    await using t = await hubTest();
    const commit = t.server.publish(sourceOf(ONE_FILE).repository, files);
    const repository = `models--${sourceOf(ONE_FILE).repository.replace('/', '--')}`;
    await t.cache.write(`${repository}/refs/main`, commit);
    t.server.lies.set(GRAPH, { commit: 'c'.repeat(40) });
    const error = await rejection(t.find(ONE_FILE));
    expect(error).toMatchObject({ code: 'model_download_invalid' });
    expect(error.message).toMatch(new RegExp(`asked for at ${commit}, and the hub answers for c{40}`));
  });

  test('what an earlier run left and does not fit is thrown away', async () => {
    await using t = await hubTest();
    const commit = t.server.publish(sourceOf(ONE_FILE).repository, files);
    const blobs = `models--${sourceOf(ONE_FILE).repository.replace('/', '--')}/blobs`;
    await t.cache.write(`${blobs}/${sha256Of(graph)}.incomplete`, wrong.subarray(0, HALF));
    await t.find(ONE_FILE);
    expect(t.server.bodies(GRAPH).map(({ range }) => range)).toEqual([`bytes=${HALF}-`, undefined]);
    expect((await stat(t.at(ONE_FILE, commit, GRAPH))).size).toBe(graph.length);
  });
});

describe('what may not be had', () => {
  test('a model above the limit, before its bytes come', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(TWO_FILES).repository, twoFiles());
    const error = await rejection(t.find(TWO_FILES, { maxBytes: 20_000 }));
    expect(error).toMatchObject({ code: 'model_too_large' });
    expect(error.message).toContain(DATA);
    expect(t.server.bodies(DATA)).toEqual([]);
  });

  test('weights outside the model’s folder', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(TWO_FILES).repository, twoFiles('../../secret'));
    expect(await rejection(t.find(TWO_FILES))).toMatchObject({ code: 'model_unreadable' });
    expect(t.server.requests.filter(({ file }) => file.includes('secret'))).toEqual([]);
  });

  test('a repository, a file and weights that are not there', async () => {
    await using t = await hubTest();
    expect(await rejection(t.find(ONE_FILE))).toMatchObject({ code: 'model_not_on_hub' });
    t.server.publish(sourceOf(ONE_FILE).repository, { 'README.md': 'no model' });
    expect(await rejection(t.find(ONE_FILE))).toMatchObject({ code: 'model_not_on_hub' });
    t.server.publish(sourceOf(TWO_FILES).repository, { [GRAPH]: twoFiles()[GRAPH] as Uint8Array });
    const error = await rejection(t.find(TWO_FILES));
    expect(error).toMatchObject({ code: 'model_not_on_hub' });
    expect(error.message).toContain(DATA);
  });

  test.each([{ hash: 'not-a-hash' }, { size: NaN }, { size: -1 }, { commit: 'main' }])(
    'something that is no hub: %j',
    async (lie) => {
      await using t = await hubTest();
      t.server.publish(sourceOf(ONE_FILE).repository, files);
      t.server.lies.set(GRAPH, lie);
      const error = await rejection(t.find(ONE_FILE));
      expect(error).toMatchObject({ code: 'model_download_failed' });
      expect(error.message).toContain('HF_ENDPOINT');
    },
  );
});

describe('the token', () => {
  const token = 'a-token-of-no-known-form';

  test('opens a gated model, goes to the hub alone, and is told to nobody', async () => {
    await using t = await hubTest();
    t.server.publish(sourceOf(ONE_FILE).repository, files);
    t.server.token = token;
    await t.find(ONE_FILE, { token });
    const [hub, store] = ['hub', 'store'].map((name) => t.server.requests.filter((r) => r.server === name));
    expect(new Set(hub?.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${token}`]));
    expect(store?.length).toBeGreaterThan(0);
    expect(store?.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
    expect(t.log.lines.length).toBeGreaterThan(0);
    expect(JSON.stringify(t.log.lines)).not.toContain(token);
  });

  test.each([
    [undefined, /HF_TOKEN/],
    [`${token}-but-wrong`, /this token/],
  ])('%s: refused, and not tried again', async (wrong, message) => {
    await using t = await hubTest();
    t.server.publish(sourceOf(ONE_FILE).repository, files);
    t.server.token = token;
    const error = await rejection(t.find(ONE_FILE, { token: wrong }));
    expect(error).toMatchObject({ code: 'model_not_allowed', retryable: false });
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain(token);
    expect(t.server.requests).toHaveLength(1);
  });
});
