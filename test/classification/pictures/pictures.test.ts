import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { createLog } from '../../../src/base/log.ts';
import { HandlerError, StoppedError } from '../../../src/base/errors.ts';
import { preload } from '../../../src/classification/pictures/preload.ts';
import { createPictureSource } from '../../../src/classification/pictures/source.ts';
import type { Preload } from '../../../src/classification/input-loading.ts';
import { decodeImage } from '../../../src/image/decode.ts';
import { cropWindow } from '../../../src/image/geometry.ts';
import { cutOut } from '../../../src/image/resample.ts';
import { testImages, type TestImages } from '../../support/images.ts';
import { startServer } from '../../http/support.ts';
import { NEVER, sample } from '../support.ts';
import { temporaryFolder } from '../../support/folder.ts';
import { PREPROCESSING, testPictures } from './support.ts';

let images: TestImages;

beforeAll(async () => {
  images = await testImages();
});

afterAll(async () => {
  await images[Symbol.asyncDispose]();
});

const photo = (name: string): string => `/cutouts/${name}/1.jpg`;
const of = (path: string) => sample({ url: images.url + path });
const SETTINGS: Preload = {
  enabled: true,
  batched: true,
  batch_size: 3,
  max_workers: 8,
  http_timeout: 30,
  retry_attempts: 3,
  retry_delay: 1,
  use_memory_cache: false,
};

test('a picture is fetched and decoded once, and is what the model sees of the file', async () => {
  await using folder = await temporaryFolder();
  const [a, b, again] = [of(photo('once a')), of(photo('once b')), of(photo('once a'))];
  await using set = await testPictures({ folder: folder.path });
  await Promise.all([set.pictures.load([a, b]), set.pictures.load([again])]);
  await set.pictures.load([a, b, again]);
  expect([images.requests.get(photo('once a')), images.requests.get(photo('once b'))]).toEqual([1, 1]);
  const frame = set.pictures.frameOf(again);
  expect(frame).toEqual(set.pictures.frameOf(a));
  const whole = frame && (await set.frames.read(frame));
  const seen = await decodeImage(await images.picture(photo('once a')), PREPROCESSING);
  expect(whole && Buffer.from(cutOut(whole, cropWindow(whole, { width: 40, height: 40 })))).toEqual(
    Buffer.from(seen),
  );
});

test('what an earlier process has decoded is not fetched again', async () => {
  await using folder = await temporaryFolder();
  const wanted = of(photo('resumed'));
  for (let run = 0; run < 2; run += 1) {
    await using set = await testPictures({ folder: folder.path });
    await set.pictures.load([wanted]);
    expect(set.pictures.frameOf(wanted)).toBeDefined();
  }
  expect(images.requests.get(photo('resumed'))).toBe(1);
});

describe('a picture that cannot be had fails alone', () => {
  test('by status, by content, by its address; each with its code', async () => {
    await using folder = await temporaryFolder();
    const paths = ['gone', 'page', 'half', 'fine'].map(photo);
    const [gone = '', page = '', half = ''] = paths;
    images.misbehave(gone, { status: 404 });
    images.misbehave(page, { body: '<html>', type: 'text/html' });
    images.misbehave(half, 'truncated');
    const samples = [
      ...paths.map(of),
      sample({ url: 'ftp://images.example.invalid/x.jpg' }),
      sample({ url: 'data:,x' }),
    ];
    await using set = await testPictures({ folder: folder.path });
    await set.pictures.load(samples);
    expect(samples.map((s) => set.pictures.failureOf(s)?.code)).toEqual([
      'http_404',
      'not_an_image',
      'truncated',
      undefined,
      'invalid_url',
      'not_an_image',
    ]);
    expect(samples.map((s) => set.pictures.frameOf(s) !== undefined)).toEqual([
      false,
      false,
      false,
      true,
      false,
      false,
    ]);
    expect(images.requests.get(gone)).toBe(1);
  });

  test('what may pass is tried as often as asked, and no more', async () => {
    await using folder = await temporaryFolder();
    const away = of(photo('away'));
    images.misbehave(photo('away'), { status: 503 });
    await using set = await testPictures({ folder: folder.path, limits: { attempts: 4 } });
    await set.pictures.load([away]);
    expect(set.pictures.failureOf(away)?.code).toBe('http_503');
    expect(images.requests.get(photo('away'))).toBe(4);
  });

  test('a server that never answers is given up after the time-out, each try anew', async () => {
    await using folder = await temporaryFolder();
    const silent = of(photo('silent'));
    images.misbehave(photo('silent'), 'silent');
    const fine = of(photo('beside silent'));
    await using set = await testPictures({
      folder: folder.path,
      timeoutSeconds: 0.3,
      limits: { attempts: 2 },
    });
    await set.pictures.load([silent, fine]);
    expect(set.pictures.failureOf(silent)?.code).toBe('timeout');
    expect(images.requests.get(photo('silent'))).toBe(2);
    expect(set.pictures.frameOf(fine)).toBeDefined();
  });
});

test('a picture that comes drop by drop is given up after the time-out for the whole of it', async () => {
  await using server = await startServer((_, response) => {
    response.writeHead(200, { 'content-type': 'image/jpeg' });
    const drops = setInterval(() => response.write('x'), 20);
    response.once('close', () => clearInterval(drops));
  });
  await using source = createPictureSource(
    { max_workers: 1, http_timeout: 0.3 },
    { allowPrivateHosts: true },
  );
  await expect(source.read(server.url, NEVER)).rejects.toMatchObject({ code: 'timeout' });
});

describe('stored pictures', () => {
  test('are fetched by signed addresses; one that is not there fails alone', async () => {
    await using folder = await temporaryFolder();
    const [here, gone] = [sample({ url: 'shelf/here.jpg' }), sample({ url: '/shelf/gone.jpg' })];
    const asked: string[] = [];
    await using set = await testPictures({
      folder: folder.path,
      sign: (storages) => {
        asked.push(...storages.map(({ bucket, path }) => `${bucket}/${path}`));
        return Promise.resolve(
          storages.map(({ path }) =>
            path === 'shelf/here.jpg'
              ? images.url + photo('stored')
              : new HandlerError('storage_not_found', 'no object'),
          ),
        );
      },
    });
    await set.pictures.load([here, gone]);
    expect(asked).toEqual(['frames/shelf/here.jpg', 'frames/shelf/gone.jpg']);
    expect(set.pictures.frameOf(here)).toBeDefined();
    expect(set.pictures.failureOf(gone)?.code).toBe('storage_not_found');
  });

  test('a storage that is away ends the load', async () => {
    await using folder = await temporaryFolder();
    await using set = await testPictures({
      folder: folder.path,
      sign: () => Promise.reject(new HandlerError('supabase_unavailable', 'away', { retryable: true })),
    });
    await expect(set.pictures.load([sample({ url: 'a.jpg' })])).rejects.toMatchObject({
      code: 'supabase_unavailable',
    });
  });
});

test('a load that is told to stop rejects with the reason, though a server is silent', async () => {
  await using folder = await temporaryFolder();
  const stop = new AbortController();
  images.misbehave(photo('stopped'), 'silent');
  await using set = await testPictures({ folder: folder.path, signal: stop.signal });
  const loading = set.pictures.load([of(photo('stopped'))]);
  while (images.requests.get(photo('stopped')) === undefined) await new Promise(setImmediate);
  stop.abort(new StoppedError('cancelled', 'by the test'));
  await expect(loading).rejects.toMatchObject({ code: 'cancelled' });
});

describe('preloading', () => {
  async function linesOf(
    settings: Partial<Preload>,
    names: readonly string[],
  ): Promise<{ lines: string[]; done: number[] }> {
    await using folder = await temporaryFolder();
    await using set = await testPictures({ folder: folder.path });
    const lines: string[] = [];
    const done: number[] = [];
    await preload({
      samples: names.map((name) => of(photo(name))),
      pictures: set.pictures,
      settings: { ...SETTINGS, ...settings },
      log: createLog({ write: (line) => lines.push((JSON.parse(line) as { message: string }).message) }),
      onProgress: (progress) => done.push(progress.done),
    });
    return { lines, done };
  }

  test('goes batch by batch, and says how each went', async () => {
    images.misbehave(photo('p3'), { status: 404 });
    const { lines, done } = await linesOf({ batch_size: 3 }, ['p0', 'p1', 'p2', 'p3', 'p4']);
    expect(lines).toEqual([
      '[Preload] Batch 1/2: 3 loaded, 0 failed',
      '[Preload] Batch 2/2: 1 loaded, 1 failed',
    ]);
    expect(done.at(-1)).toBe(5);
  });

  test('goes all at once where it is not batched', async () => {
    const { lines } = await linesOf({ batched: false }, ['q0', 'q1', 'q2', 'q3', 'q4']);
    expect(lines).toEqual(['[Preload] Batch 1/1: 5 loaded, 0 failed']);
  });

  test('has no more downloads under way than it may', async () => {
    await using folder = await temporaryFolder();
    await using set = await testPictures({ folder: folder.path, limits: { downloads: 2 } });
    const open = images.hold();
    const loading = set.pictures.load(['r0', 'r1', 'r2', 'r3'].map((name) => of(photo(name))));
    await images.waiting(2);
    await new Promise(setImmediate);
    expect(['r0', 'r1', 'r2', 'r3'].map((name) => images.requests.get(photo(name)))).toEqual([
      1,
      1,
      undefined,
      undefined,
    ]);
    open();
    await loading;
  });
});
