import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { HttpError, StoppedError, StoreError } from '../../src/base/errors.ts';
import { extract } from '../../src/embedding/extract.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import { storageOf } from '../../src/job/stored-file.ts';
import { createSameUrls } from '../../src/embedding/same-url.ts';
import {
  expectNothingRuns,
  LIMITS,
  never,
  NOT_FINITE,
  quiet,
  refOf,
  runOf,
  type Run,
} from '../support/extraction.ts';

/** Images with these urls. */
const imagesOf = (urls: readonly (number | string)[]): ImageRef[] =>
  urls.map((url, i) => refOf(i, i % 3 === 0 ? 'a' : 'b', String(url)));
const reads = (run: Run): string[] =>
  run.calls.flatMap(({ stage, images }) => (stage === 'read' ? images : [])).sort();
const gone = (url: string) => new HttpError('http_404', `${url} is gone`);
const away = (url: string) => new HttpError('http_503', `${url} is away`, { retryable: true });
const hundredTimes = (urls: readonly number[]): number[] => Array.from({ length: 100 }, () => urls).flat();

describe('a url that comes again', () => {
  test('is fetched, decoded and embedded once, and every image has its vector, its hash and its own collection', async () => {
    const run = runOf(imagesOf(hundredTimes([1, 2, 3, 4, 5])));
    await extract(run.options);
    expect(reads(run)).toEqual(['1', '2', '3', '4', '5']);
    const embedded = run.calls.flatMap(({ stage, images }) => (stage === 'embed' ? images : []));
    expect(embedded.sort()).toEqual(['1', '2', '3', '4', '5']);
    expect(run.written.size).toBe(500);
    for (const [id, { vector, content, collection }] of run.written) {
      const url = (Number(id) % 5) + 1;
      expect({ vector, content }).toEqual({ vector: [url, -url], content: `hash of ${url}` });
      expect(collection).toBe(Number(id) % 3 === 0 ? 'a' : 'b');
    }
    expect(run.repeated()).toBe(495);
    await expectNothingRuns(run);
  });

  test('waits for its first without a place in the pipeline, and is answered at once when that is done', async () => {
    const gate = Promise.withResolvers<undefined>();
    const run = runOf(imagesOf([...Array<number>(200).fill(1), 2, 3, 4, 5, 6, 7]), {
      read: (url) => (url === '1' ? gate.promise : Promise.resolve()),
    });
    const done = extract(run.options);
    await quiet();
    // The six behind the two hundred were fetched, and a full batch of them was embedded.
    expect(reads(run)).toEqual(['1', '2', '3', '4', '5', '6', '7']);
    expect(run.calls.filter(({ stage }) => stage === 'embed')).toHaveLength(1);
    gate.resolve(undefined);
    await done;
    expect(run.written.size).toBe(206);
  });

  test('is told apart by all of it, also where it is long', async () => {
    const long = `data:image/png;base64,${'A'.repeat(5_000)}`;
    const run = runOf(imagesOf([`${long}1`, `${long}2`, `${long}1`, 'http://a/1', 'http://a/1?x']), {
      sign: (some) => Promise.resolve(some.map(({ url }) => url)),
    });
    await extract(run.options);
    expect(reads(run)).toEqual([`${long}1`, `${long}2`, 'http://a/1', 'http://a/1?x']);
    expect(run.written.size).toBe(5);
  });

  test('is known by the path of a stored file, whatever its address is each time', async () => {
    let signed = 0;
    const stored = imagesOf([1, 2, 1, '/2', '/1']).map((ref) => ({ ...ref, storage: storageOf(ref.url) }));
    const run = runOf(stored, { sign: (some) => Promise.resolve(some.map(() => String((signed += 1)))) });
    await extract(run.options);
    expect(signed).toBe(2);
    expect(run.written.size).toBe(5);
  });

  test('is fetched like any other where too many wait already', async () => {
    const gate = Promise.withResolvers<undefined>();
    const run = runOf(imagesOf(Array<number>(20).fill(1)), {
      limits: { ...LIMITS, urls: 15 },
      read: () => gate.promise,
    });
    const done = extract(run.options);
    await quiet();
    expect(run.running.read).toBe(LIMITS.downloads);
    gate.resolve(undefined);
    await done;
    expect(run.written.size).toBe(20);
    expect(run.repeated()).toBeGreaterThanOrEqual(15);
  });
});

describe('of the urls that are done', () => {
  /** Which urls are fetched, where each is done before the image so many places behind it is looked at. */
  const fetched = async (urls: readonly number[], window: number, later = 1): Promise<number[]> => {
    const same = createSameUrls({
      dim: 1,
      fail: () => undefined,
      repeated: () => undefined,
      unchanged: () => Promise.resolve(),
      window,
    });
    const drained = Array.fromAsync(same.answered);
    const underWay: { ref: ImageRef; at: number }[] = [];
    const seen: number[] = [];
    let looked = 0;
    function* images(): Generator<ImageRef> {
      for (const ref of imagesOf(urls)) {
        looked += 1;
        while (underWay[0] !== undefined && underWay[0].at + later <= looked) {
          const { ref: done } = underWay.shift() ?? { ref };
          same.embedded([{ ref: done, vector: Float32Array.of(1), content: '' }]);
        }
        yield ref;
      }
    }
    for await (const ref of same.firsts(images())) {
      seen.push(Number(ref.url));
      underWay.push({ ref, at: looked });
    }
    await drained;
    return seen;
  };

  test('so many are known, and the one that was asked for the longest time ago is forgotten', async () => {
    expect(await fetched([1, 2, 3, 1, 4, 1, 2, 4, 1], 3)).toEqual([1, 2, 3, 4, 2]);
  });

  test('as many images may wait again when those that waited are let go', async () => {
    expect(await fetched([1, 1, 1, 2, 2, 2], 2, 3)).toEqual([1, 2]);
  });
});

describe('a url that fails', () => {
  test('fails each of the images that wait for it, with the same error', async () => {
    const gate = Promise.withResolvers<undefined>();
    const run = runOf(imagesOf([1, 1, 2, 1, 1]), {
      read: async (url) => {
        if (url !== '1') return;
        await gate.promise;
        throw away(url);
      },
    });
    const done = extract(run.options);
    await quiet();
    gate.resolve(undefined);
    await done;
    expect(run.failed.map(({ ref }) => ref.id).sort()).toEqual(['0', '1', '3', '4']);
    expect(new Set(run.failed.map(({ error }) => error)).size).toBe(1);
    expect(run.failed[0]?.error).toMatchObject({ code: 'http_503', retryable: true });
    expect([...run.written.keys()]).toEqual(['2']);
  });

  /** The same url before and, when its outcome is known, after a batch of others. */
  const again = async (error: (url: string) => Error): Promise<Run> => {
    const others = Array.from({ length: 64 }, (_, i) => 100 + i);
    const run = runOf(imagesOf([1, ...others, 1]), {
      read: (url) => (url === '1' ? Promise.reject(error(url)) : Promise.resolve()),
    });
    await extract(run.options);
    expect(run.failed).toHaveLength(2);
    return run;
  };

  test('for good is not asked for again', async () => {
    const run = await again(gone);
    expect(reads(run).filter((url) => url === '1')).toHaveLength(1);
    expect(run.failed[1]?.error).toMatchObject({ code: 'http_404', message: '1 is gone', retryable: false });
    expect(run.repeated()).toBe(1);
  });

  test('for a passing reason is asked for again', async () => {
    expect(reads(await again(away)).filter((url) => url === '1')).toHaveLength(2);
  });

  test('as storage has no address for it, or the model no vector, fails with all that wait', async () => {
    const images = imagesOf([1, NOT_FINITE, 1, NOT_FINITE]).map((ref) =>
      ref.url === '1' ? { ...ref, storage: { bucket: 'frames', path: '1' } } : ref,
    );
    const error = new StoreError('supabase', 'storage_not_found', 'no');
    const run = runOf(images, { sign: (some) => Promise.resolve(some.map(() => error)) });
    await extract(run.options);
    expect(run.failed.map(({ ref, error: { code } }) => [ref.id, code]).sort()).toEqual([
      ['0', 'storage_not_found'],
      ['1', 'not_finite'],
      ['2', 'storage_not_found'],
      ['3', 'not_finite'],
    ]);
  });
});

test('while nothing can be written, answers from memory hold the listing back too', async () => {
  const gate = Promise.withResolvers<undefined>();
  const run = runOf(
    imagesOf([1, 2, 3, 4, ...hundredTimes([5, 6, 7, 8]), ...hundredTimes([1, 2, 3, 4, 1, 2])]),
    {
      write: () => gate.promise,
      limits: { ...LIMITS, urls: 8 },
    },
  );
  const done = extract(run.options);
  await quiet();
  const listed = run.listed();
  expect(listed).toBeLessThan(600);
  await quiet();
  expect(run.listed()).toBe(listed);
  gate.resolve(undefined);
  await done;
  expect(run.written.size).toBe(1_004);
});

describe('a stop', () => {
  const stopped = new StoppedError('cancelled', 'by hand');

  test('blames no image that waits, and is not held up by it', async () => {
    const run = runOf(imagesOf(hundredTimes([1, 2])), { read: (_, signal) => never(signal) });
    const done = extract(run.options);
    done.catch(() => undefined);
    await quiet();
    run.stop.abort(stopped);
    await expect(done).rejects.toBe(stopped);
    expect(run.failed).toEqual([]);
    // What waited has no answer: it was not spared.
    expect(run.repeated()).toBe(0);
    await expectNothingRuns(run);
  });

  test('while answers wait for the writer ends as any other', async () => {
    const gate = Promise.withResolvers<undefined>();
    const run = runOf(imagesOf(hundredTimes([1, 2, 3, 4])), {
      write: () => gate.promise,
      limits: { ...LIMITS, urls: 4 },
    });
    const done = extract(run.options);
    done.catch(() => undefined);
    await quiet();
    run.stop.abort(stopped);
    gate.resolve(undefined);
    await expect(done).rejects.toBe(stopped);
    await expectNothingRuns(run);
  });
});

test('every image is written or fails, once, whichever urls repeat, whatever happens to which', async () => {
  const upTo = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 120 }),
      fc.array(fc.constantFrom('good', 'good', 'gone', 'away', 'flaky'), { minLength: 13, maxLength: 13 }),
      fc.record({
        downloads: upTo(8),
        decoders: upTo(4),
        writes: upTo(3),
        writeSize: upTo(9),
        urls: upTo(16),
      }),
      upTo(9),
      fc.scheduler(),
      async (urls, fates, limits, batchSize, scheduler) => {
        const tried = new Map<string, number>();
        const run = runOf(imagesOf(urls), {
          limits,
          read: async (url) => {
            const times = (tried.get(url) ?? 0) + 1;
            tried.set(url, times);
            await scheduler.schedule(Promise.resolve());
            const fate = fates[Number(url)];
            if (fate === 'gone') throw gone(url);
            if (fate === 'away' || (fate === 'flaky' && times % 2 === 1)) throw away(url);
          },
          write: () => scheduler.schedule(Promise.resolve()),
        });
        const options = { ...run.options, model: { ...run.options.model, batchSize } };
        await scheduler.waitFor(extract(options));
        const ids = [...run.written.keys(), ...run.failed.map(({ ref }) => ref.id)];
        expect(ids.map(Number).sort((a, b) => a - b)).toEqual(urls.map((_, i) => i));
        const points = run.calls.filter(({ stage }) => stage === 'write').flatMap((call) => call.images);
        expect(points).toHaveLength(run.written.size);
        for (const [id, { vector }] of run.written) expect(vector[0]).toBe(urls[Number(id)]);
        for (const { ref, error } of run.failed) {
          expect(error.message).toBe(`${ref.url} is ${error.retryable ? 'away' : 'gone'}`);
        }
        expect(run.repeated() + reads(run).length).toBe(urls.length);
        await expectNothingRuns(run);
      },
    ),
    { numRuns: 150 },
  );
});
