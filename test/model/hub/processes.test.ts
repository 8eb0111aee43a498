import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { expect, test } from '@jest/globals';

import { downloadFile } from '../../../src/model/hub/download.ts';
import { withProcessLock } from '../../../src/model/hub/process-lock.ts';
import type { Remote } from '../../../src/model/hub/remote.ts';
import { sha256Of } from '../../support/hub.ts';
import { folder } from '../support.ts';
import { hubTest, incompleteBytes, ONE_FILE, oneFile, sourceOf, type HubTest } from './support.ts';

const GRAPH = 'onnx/model.onnx';
const files = oneFile();
const graph = files[GRAPH] as Uint8Array;
const HALF = Math.floor(graph.length / 2);

const sources = new URL('../../../src/', import.meta.url);
/** A process that looks for the model and prints where it is. */
const FINDER = `
  import { SILENT_LOG } from '${sources.href}base/log.ts';
  import { createHttp } from '${sources.href}http/http.ts';
  import { createModelHub } from '${sources.href}model/hub/hub.ts';
  const [source, options] = process.argv.slice(1).map((text) => JSON.parse(text));
  await using http = createHttp({ allowPrivateHosts: true });
  const found = await createModelHub({ http, ...options }).find(source, { log: SILENT_LOG });
  process.stdout.write(JSON.stringify(found));
`;

function startFinder({ server, cache }: HubTest): { child: ChildProcess; found: Promise<unknown> } {
  const options = {
    endpoint: server.url,
    cacheDir: cache.path,
    platformCacheDir: join(cache.path, 'no-platform'),
    retryBaseDelayMs: 1,
  };
  const args = [JSON.stringify(sourceOf(ONE_FILE)), JSON.stringify(options)];
  const child = spawn(process.execPath, ['--input-type=module', '-e', FINDER, '--', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const found = once(child, 'close').then(() =>
    printed === '' ? undefined : (JSON.parse(printed) as unknown),
  );
  return { child, found };
}

test('of several processes one fetches, and all have the model', async () => {
  await using t = await hubTest();
  const commit = t.server.publish(sourceOf(ONE_FILE).repository, files);
  const finders = [startFinder(t), startFinder(t)];
  const [mine, again, ...theirs] = await Promise.all([
    t.find(ONE_FILE),
    t.find(ONE_FILE),
    ...finders.map(({ found }) => found),
  ]);
  expect(mine).toMatchObject({ graph: t.at(ONE_FILE, commit, GRAPH) });
  expect([again, ...theirs]).toEqual([mine, mine, mine]);
  expect(t.server.bodies().map(({ file }) => file)).toEqual([GRAPH, 'preprocessor_config.json']);
});

test('killed in the middle: the next goes on where it was, and fetches nothing twice', async () => {
  await using t = await hubTest();
  const commit = t.server.publish(sourceOf(ONE_FILE).repository, files);
  t.server.fault = ({ server, file }) =>
    server === 'store' && file === GRAPH ? { stallAfter: HALF } : undefined;
  const { child, found } = startFinder(t);
  while ((await incompleteBytes(t.cache.path)) < HALF) await setTimeout(5);
  child.kill('SIGKILL');
  expect(await found).toBeUndefined();
  // Its lock is still there, and no hindrance.
  const left = await readdir(join(t.cache.path, '.locks'), { recursive: true });
  expect(left.filter((name) => name.endsWith('.lock'))).toHaveLength(1);

  t.server.requests.length = 0;
  t.server.fault = () => undefined;
  const next = startFinder(t);
  expect(await next.found).toMatchObject({ graph: t.at(ONE_FILE, commit, GRAPH) });
  expect(t.server.bodies(GRAPH)).toMatchObject([{ range: `bytes=${HALF}-`, sent: graph.length - HALF }]);
  expect(sha256Of(await readFile(t.at(ONE_FILE, commit, GRAPH)))).toBe(sha256Of(graph));
});

test('the lock of another machine that gives no sign any more is taken over', async () => {
  await using cache = await folder();
  const elsewhere = JSON.stringify({ id: 'other', pid: process.pid, place: 'another machine' });
  const path = await cache.write('a.lock', elsewhere);
  let waits = 0;
  const stop = new AbortController();
  const waiting = withProcessLock(path, () => Promise.resolve('ran'), {
    signal: stop.signal,
    onWait: () => {
      waits += 1;
      stop.abort(new TypeError('enough'));
    },
  });
  await expect(waiting).rejects.toThrow('enough');
  expect(waits).toBe(1);
  expect(await readFile(path, 'utf8')).toBe(elsewhere);
  const longAgo = new Date(Date.now() - 3_600_000);
  await utimes(path, longAgo, longAgo);
  expect(await withProcessLock(path, () => Promise.resolve('ran'))).toBe('ran');
  expect(await readdir(cache.path)).toEqual([]);
});

test('the lock of a process that had our id before us, in a container that was started again, is taken over at once', async () => {
  await using cache = await folder();
  const path = join(cache.path, 'a.lock');
  const before = await withProcessLock(path, () => readFile(path, 'utf8'));
  const holder = { ...(JSON.parse(before) as { begun: number }), id: 'other' };
  await cache.write('a.lock', JSON.stringify({ ...holder, begun: holder.begun - 1_000 }));
  // Not by its age.
  const later = new Date(Date.now() + 3_600_000);
  await utimes(path, later, later);
  expect(await withProcessLock(path, () => Promise.resolve('ran'))).toBe('ran');
  // Our own is no other's.
  await cache.write('a.lock', JSON.stringify(holder));
  const stop = new AbortController();
  const waiting = withProcessLock(path, () => Promise.resolve('ran'), {
    signal: stop.signal,
    onWait: () => stop.abort(new TypeError('enough')),
  });
  await expect(waiting).rejects.toThrow('enough');
});

test('one whose lock was taken over is told so, and leaves it to the other', async () => {
  await using cache = await folder();
  const path = join(cache.path, 'a.lock');
  const other = JSON.stringify({ id: 'other', pid: process.pid, begun: 0, place: 'another machine' });
  const running = withProcessLock(path, async (signal) => {
    await cache.write('a.lock', other);
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    signal.throwIfAborted();
  });
  await expect(running).rejects.toMatchObject({ code: 'lock_lost', retryable: true });
  expect(await readFile(path, 'utf8')).toBe(other);
});

test('one that lost its lock and still writes does no harm to the one that has it', async () => {
  await using t = await hubTest();
  t.server.publish(sourceOf(ONE_FILE).repository, files);
  const file = {
    repository: sourceOf(ONE_FILE).repository,
    path: GRAPH,
    commit: 'c'.repeat(40),
    hash: sha256Of(graph),
    size: graph.length,
  };
  const target = join(t.cache.path, 'blob');
  const bytesOf = (from: number, to: number): Uint8Array => graph.subarray(from, to);
  const asleep = Promise.withResolvers<undefined>();
  const woken = Promise.withResolvers<undefined>();
  const over = Promise.withResolvers<undefined>();
  /** Gives these pieces of the file, each when its time has come. */
  const remote = (pieces: (offset: number) => AsyncIterable<Uint8Array>): Remote => ({
    resolve: () => Promise.resolve(file),
    read: (_, offset, __, read) =>
      read({
        status: offset === 0 ? 200 : 206,
        headers: { 'content-range': `bytes ${offset}-${graph.length - 1}/${graph.length}` },
        url: '',
        body: pieces(offset),
      }),
    patiently: (attempt) => attempt(),
  });
  const { signal } = new AbortController();
  const download = (from: Remote): Promise<string> =>
    downloadFile({ remote: from, file, target, deadlineMs: 60_000, log: t.log, signal });
  const loser = download(
    remote(async function* () {
      yield bytesOf(0, 1_000);
      await asleep.promise;
      yield bytesOf(1_000, 2_000);
      woken.resolve(undefined);
      await over.promise;
      throw new TypeError('the lock was lost');
    }),
  );
  const lost = expect(loser).rejects.toThrow('the lock was lost');
  while ((await incompleteBytes(t.cache.path)) < 1_000) await setTimeout(5);
  await download(
    remote(async function* (offset) {
      yield bytesOf(offset, 2_000);
      asleep.resolve(undefined);
      await woken.promise;
      yield bytesOf(2_000, graph.length);
    }),
  );
  over.resolve(undefined);
  await lost;
  expect(sha256Of(await readFile(target))).toBe(sha256Of(graph));
});

test('many at once: one after another, and nothing is left', async () => {
  await using cache = await folder();
  const path = await cache.write('a.lock', JSON.stringify({ id: 'dead', pid: 0, place: '' }));
  const longAgo = new Date(Date.now() - 3_600_000);
  await utimes(path, longAgo, longAgo);
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 8 }, () =>
      withProcessLock(path, async () => {
        inside += 1;
        most = Math.max(most, inside);
        await setTimeout(1);
        inside -= 1;
      }),
    ),
  );
  expect(most).toBe(1);
  expect(await readdir(cache.path)).toEqual([]);
});
