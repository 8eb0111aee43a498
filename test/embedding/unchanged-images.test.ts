import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { HttpError, ImageError } from '../../src/base/errors.ts';
import { extract } from '../../src/embedding/extract.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import { expectNothingRuns, LIMITS, quiet, refOf, runOf, type Run } from '../support/extraction.ts';

/** Images with these urls; `same` has a point of the bytes that its url gives, `other` one of other bytes. */
type Point = 'same' | 'other' | 'none';
const imagesOf = (images: readonly (readonly [url: number | string, point: Point])[]): ImageRef[] =>
  images.map(([url, point], i) => ({
    ...refOf(i, 'c', String(url)),
    ...(point === 'same' && { content: `hash of ${url}` }),
    ...(point === 'other' && { content: 'hash of what it was' }),
  }));
const stageOf = (run: Run, stage: string): string[] =>
  run.calls.flatMap((call) => (call.stage === stage ? call.images : [])).sort();

test('an image whose bytes are those of its point is fetched and goes no further; a changed one is embedded', async () => {
  const run = runOf(
    imagesOf([
      [1, 'same'],
      [2, 'other'],
      [3, 'none'],
      [4, 'same'],
    ]),
  );
  await extract(run.options);
  expect(stageOf(run, 'read')).toEqual(['1', '2', '3', '4']);
  expect(stageOf(run, 'decode')).toEqual(['2', '3']);
  expect([...run.written.keys()].sort()).toEqual(['1', '2']);
  expect(run.unchanged.sort()).toEqual(['0', '3']);
  expect(run.failed).toEqual([]);
  await expectNothingRuns(run);
});

test('an image that is not there fails, whatever its point was made of', async () => {
  const run = runOf(
    imagesOf([
      [1, 'same'],
      [1, 'other'],
    ]),
    {
      read: (url) => Promise.reject(new HttpError('http_404', url)),
    },
  );
  await extract(run.options);
  expect(run.failed.map(({ ref }) => ref.id)).toEqual(['0', '1']);
  expect(run.unchanged).toEqual([]);
});

test('of images with one url some may have changed, in whichever order they come', async () => {
  const run = runOf(
    imagesOf([
      [1, 'same'],
      [1, 'none'],
      [1, 'same'],
      [1, 'other'],
      [2, 'none'],
      [2, 'same'],
    ]),
  );
  await extract(run.options);
  expect(stageOf(run, 'read')).toEqual(['1', '2']);
  expect(stageOf(run, 'embed')).toEqual(['1', '2']);
  expect([...run.written.keys()].sort()).toEqual(['1', '3', '4']);
  expect(run.unchanged.sort()).toEqual(['0', '2', '5']);
  expect(run.repeated()).toBe(4);
});

test('an unchanged image is not held up or failed by what becomes of a changed one with its url', async () => {
  const gate = Promise.withResolvers<undefined>();
  const run = runOf(imagesOf([[1, 'other'], [1, 'same'], ...Array<[number, Point]>(70).fill([1, 'same'])]), {
    decode: async () => {
      await gate.promise;
      throw new ImageError('corrupt', 'no');
    },
  });
  const done = extract(run.options);
  await quiet();
  expect(run.unchanged).toHaveLength(71);
  gate.resolve(undefined);
  await done;
  expect(run.failed.map(({ ref }) => ref.id)).toEqual(['0']);
});

test('images that turn out not to have changed wait no longer: as many may wait again', async () => {
  const gate = Promise.withResolvers<undefined>();
  const rounds = Array.from({ length: 4 }, (_, i): [number, Point][] => [
    [i, 'other'],
    [i, 'same'],
    [i, 'same'],
    [i, 'same'],
  ]);
  const run = runOf(imagesOf(rounds.flat()), {
    limits: { ...LIMITS, downloads: 1, urls: 12 },
    read: () => quiet(),
    decode: () => gate.promise,
  });
  const done = extract(run.options);
  for (let i = 0; i < 6; i += 1) await quiet();
  expect(run.unchanged).toHaveLength(12);
  gate.resolve(undefined);
  await done;
  expect(run.written.size).toBe(4);
});

test('a url whose bytes came and could not be embedded is known by them: an image that has not changed does not fail', async () => {
  const others = Array.from({ length: 70 }, (_, i): [number, Point] => [100 + i, 'same']);
  const run = runOf(imagesOf([[1, 'other'], ...others, [1, 'same'], [1, 'other']]), {
    decode: (url) => (url === '1' ? Promise.reject(new ImageError('corrupt', 'no')) : Promise.resolve()),
  });
  await extract(run.options);
  expect(stageOf(run, 'read').filter((url) => url === '1')).toHaveLength(1);
  expect(run.failed.map(({ ref }) => ref.id)).toEqual(['0', '72']);
  expect(run.unchanged).toContain('71');
});

test('what is known of a url that nobody had to embed answers those that have not changed, and not the others', async () => {
  const others = Array.from({ length: 70 }, (_, i): [number, Point] => [100 + i, 'same']);
  const run = runOf(
    imagesOf([[1, 'same'], ...others, [1, 'same'], ...others, [1, 'none'], ...others, [1, 'other']]),
  );
  await extract(run.options);
  expect(stageOf(run, 'read').filter((url) => url === '1')).toHaveLength(2);
  expect(stageOf(run, 'embed')).toEqual(['1']);
  expect(stageOf(run, 'write')).toHaveLength(2);
  expect(run.unchanged).toHaveLength(2 + 3 * 70);
});

test('every image is written, unchanged or failed, once, whichever urls repeat and whichever have changed', async () => {
  const upTo = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.constantFrom<Point[]>('same', 'other', 'none')), {
        minLength: 60,
        maxLength: 220,
      }),
      fc.array(fc.constantFrom('good', 'good', 'gone', 'corrupt'), { minLength: 9, maxLength: 9 }),
      fc.record({ downloads: upTo(6), decoders: upTo(3), writeSize: upTo(9), urls: upTo(12) }),
      fc.scheduler(),
      async (images, fates, limits, scheduler) => {
        const run = runOf(imagesOf(images), {
          limits: { ...LIMITS, ...limits },
          read: async (url) => {
            await scheduler.schedule(Promise.resolve());
            if (fates[Number(url)] === 'gone') throw new HttpError('http_404', url);
          },
          decode: async (url) => {
            await scheduler.schedule(Promise.resolve());
            if (fates[Number(url)] === 'corrupt') throw new ImageError('corrupt', url);
          },
          write: () => scheduler.schedule(Promise.resolve()),
        });
        await scheduler.waitFor(extract(run.options));
        const endOf = ([url, point]: (typeof images)[number]): string => {
          if (fates[url] === 'gone') return 'failed';
          if (point === 'same') return 'unchanged';
          return fates[url] === 'corrupt' ? 'failed' : 'written';
        };
        const ended = (how: string): string[] =>
          images.flatMap((image, i) => (endOf(image) === how ? [String(i)] : [])).sort();
        expect(run.failed.map(({ ref }) => ref.id).sort()).toEqual(ended('failed'));
        expect(run.unchanged.sort()).toEqual(ended('unchanged'));
        expect([...run.written.keys()].sort()).toEqual(ended('written'));
        expect(stageOf(run, 'write')).toHaveLength(run.written.size);
        await expectNothingRuns(run);
      },
    ),
    { numRuns: 150 },
  );
});
