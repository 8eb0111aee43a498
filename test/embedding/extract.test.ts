import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  HandlerError,
  HttpError,
  ImageError,
  ModelError,
  StoppedError,
  StoreError,
} from '../../src/base/errors.ts';
import { extract } from '../../src/embedding/extract.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import {
  BATCH_SIZE,
  expectNothingRuns,
  LIMITS,
  never,
  NOT_FINITE,
  quiet,
  refOf,
  refs,
  runOf,
} from '../support/extraction.ts';

describe('every image', () => {
  test('is read, decoded, embedded and written, in this order, with the vector and the hash that are its own', async () => {
    const run = runOf(refs(100));
    await extract(run.options);
    expect(run.written.size).toBe(100);
    for (const [id, { vector, content }] of run.written) {
      expect({ vector, content }).toEqual({ vector: [Number(id), -Number(id)], content: `hash of ${id}` });
      const stages = run.calls.filter(({ images }) => images.includes(id)).map(({ stage }) => stage);
      expect(stages).toEqual(['read', 'decode', 'embed', 'write']);
    }
    await expectNothingRuns(run);
  });

  test('is written or fails, once, whatever happens to which and however the stages are bounded', async () => {
    const upTo = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
    const fate = fc.constantFrom('good', 'good', 'good', 'unread', 'undecoded');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fate, fc.constantFrom('a', 'b', 'c')), { maxLength: 60 }),
        fc.record({
          downloads: upTo(8),
          decoders: upTo(4),
          writes: upTo(3),
          writeSize: upTo(9),
        }),
        async (images, limits) => {
          const fateOf = (id: string): string | undefined => images[Number(id)]?.[0];
          const run = runOf(
            images.map(([, collection], i) => refOf(i, collection)),
            {
              limits,
              read: (id) =>
                fateOf(id) === 'unread' ? Promise.reject(new HttpError('http_404', id)) : Promise.resolve(),
              decode: (id) =>
                fateOf(id) === 'undecoded' ? Promise.reject(new ImageError('broken', id)) : Promise.resolve(),
            },
          );
          await extract(run.options);
          const good = images.flatMap(([how, collection], i) =>
            how === 'good' ? [[String(i), collection]] : [],
          );
          const stored = [...run.written].map(([id, { collection }]) => [id, collection]);
          expect(new Map(stored as [string, string][])).toEqual(new Map(good as [string, string][]));
          expect(run.failed.map(({ ref }) => ref.id).sort()).toEqual(
            images.flatMap(([how], i) => (how === 'good' ? [] : [String(i)])).sort(),
          );
          const writes = run.calls.filter(({ stage }) => stage === 'write').map((call) => call.images);
          expect(writes.flat()).toHaveLength(good.length);
          for (const ids of writes) {
            expect(ids.length).toBeLessThanOrEqual(limits.writeSize);
            expect(new Set(ids.map((id) => images[Number(id)]?.[1])).size).toBe(1);
          }
          expect(run.most.read).toBeLessThanOrEqual(limits.downloads);
          expect(run.most.decode).toBeLessThanOrEqual(limits.decoders);
          expect(run.most.embed).toBeLessThanOrEqual(2);
          expect(run.most.write).toBeLessThanOrEqual(limits.writes);
          await expectNothingRuns(run);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('a bad image', () => {
  test("fails alone, with the stage's own error, wherever it fails", async () => {
    const run = runOf(refs(256), {
      read: (id) => (id === '7' ? Promise.reject(new HttpError('http_404', 'gone')) : Promise.resolve()),
      decode: (id) => (id === '100' ? Promise.reject(new ImageError('broken', 'bits')) : Promise.resolve()),
    });
    await extract(run.options);
    expect(run.failed.map(({ ref, error }) => [ref.id, error.code])).toEqual([
      ['7', 'http_404'],
      ['100', 'broken'],
      [NOT_FINITE, 'not_finite'],
    ]);
    expect(run.written.size).toBe(253);
  });

  test('that storage has no address for fails alone, and a storage that refuses to sign fails its own images only', async () => {
    const stored = (i: number): ImageRef => ({ ...refOf(i), storage: { bucket: 'frames', path: String(i) } });
    const mixed = [refOf(0), stored(1), refOf(2), stored(3)];
    const one = runOf(mixed, {
      sign: (some) =>
        Promise.resolve(
          some.map(({ id }) => (id === '1' ? new StoreError('supabase', 'storage_not_found', 'no') : id)),
        ),
    });
    await extract(one.options);
    expect(one.failed.map(({ ref, error }) => [ref.id, error.code])).toEqual([['1', 'storage_not_found']]);
    expect([...one.written.keys()].sort()).toEqual(['0', '2', '3']);

    const refused = new StoreError('supabase', 'supabase_rejected', 'no such bucket');
    const all = runOf(mixed, { sign: () => Promise.reject(refused) });
    await extract(all.options);
    expect(all.failed.map(({ ref, error }) => [ref.id, error])).toEqual([
      ['1', refused],
      ['3', refused],
    ]);
    expect([...all.written.keys()].sort()).toEqual(['0', '2']);
  });
});

test('while nothing can be written, every stage comes to a halt, up to the listing', async () => {
  const gate = Promise.withResolvers<undefined>();
  const run = runOf(refs(5_000), { write: () => gate.promise });
  const done = extract(run.options);
  await quiet();
  const [listed, read, embeds] = [
    run.listed(),
    run.calls.filter((c) => c.stage === 'read').length,
    run.most.embed,
  ];
  // What two writes hold, what stands before each stage, and one batch of addresses.
  const { downloads, decoders, writes, writeSize } = LIMITS;
  const inference = 2;
  const before = downloads + decoders + (inference + 2) * BATCH_SIZE + (writes + 2) * writeSize;
  expect(run.running.write).toBe(writes);
  expect(read).toBeLessThanOrEqual(before + 8);
  expect(listed).toBeLessThanOrEqual(before + 8 + 2 * 64);
  expect(embeds).toBeLessThanOrEqual(inference);
  await quiet();
  expect(run.listed()).toBe(listed);
  gate.resolve(undefined);
  await done;
  expect(run.written.size + run.failed.length).toBe(5_000);
});

describe('what concerns no single image ends all, without waiting for downloads that hang', () => {
  /** Two of the four downloads at once. */
  const hanging = (id: string, signal: AbortSignal): Promise<void> =>
    id === '3' || id === '5' ? never(signal) : Promise.resolve();

  test('a write that fails', async () => {
    const error = new StoreError('qdrant', 'qdrant_unauthorized', 'no');
    const run = runOf(refs(200), { read: hanging, write: () => Promise.reject(error) });
    await expect(extract(run.options)).rejects.toBe(error);
    expect(run.failed).toEqual([]);
    await expectNothingRuns(run);
  });

  test('a model that fails', async () => {
    const error = new ModelError('model_thread_stopped', 'gone');
    const run = runOf(refs(200), { read: hanging, embed: () => Promise.reject(error) });
    await expect(extract(run.options)).rejects.toBe(error);
    expect(run.failed).toEqual([]);
    expect(run.written.size).toBe(0);
    await expectNothingRuns(run);
  });

  test('a listing that fails', async () => {
    const error = new StoreError('supabase', 'supabase_unavailable', 'away', { retryable: true });
    const run = runOf(refs(70), { read: hanging, listingError: error });
    await expect(extract(run.options)).rejects.toBe(error);
    expect(run.failed).toEqual([]);
    await expectNothingRuns(run);
  });

  test('a storage that is away', async () => {
    const error = new StoreError('supabase', 'supabase_unavailable', 'away', { retryable: true });
    const images = refs(70).map((ref, i) =>
      i === 69 ? { ...ref, storage: { bucket: 'frames', path: 'x' } } : ref,
    );
    const run = runOf(images, { read: hanging, sign: () => Promise.reject(error) });
    await expect(extract(run.options)).rejects.toBe(error);
    expect(run.failed).toEqual([]);
    await expectNothingRuns(run);
  });
});

describe('a stop', () => {
  const stopped = new StoppedError('cancelled', 'by hand');

  test('lets the writes under way end and waits for them, and begins nothing more', async () => {
    const gate = Promise.withResolvers<undefined>();
    const run = runOf(refs(200), { write: () => gate.promise });
    let settled = false;
    const done = extract(run.options).finally(() => {
      settled = true;
    });
    done.catch(() => undefined);
    await quiet();
    run.stop.abort(stopped);
    const begun = run.calls.length;
    await quiet();
    expect(settled).toBe(false);
    expect(run.calls.length).toBe(begun);
    gate.resolve(undefined);
    await expect(done).rejects.toBe(stopped);
    expect(run.written.size).toBe(LIMITS.writes * LIMITS.writeSize);
    expect(run.failed).toEqual([]);
    await expectNothingRuns(run);
  });

  test('ends downloads, and no image is blamed for it', async () => {
    const run = runOf(refs(200), { read: (_, signal) => never(signal) });
    const done = extract(run.options);
    done.catch(() => undefined);
    await quiet();
    expect(run.running.read).toBe(LIMITS.downloads);
    run.stop.abort(stopped);
    await expect(done).rejects.toBe(stopped);
    expect(run.failed).toEqual([]);
    await expectNothingRuns(run);
  });

  test('before the start reads nothing', async () => {
    const run = runOf(refs(3));
    run.stop.abort(stopped);
    await expect(extract(run.options)).rejects.toBe(stopped);
    expect(run.calls).toEqual([]);
  });

  test('leaves no listener behind, nor does an end', async () => {
    const run = runOf(refs(50));
    const { signal } = run.stop;
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    await extract(run.options);
    expect(listeners).toBe(0);
  });
});

test('an error that is none of ours fails its image as `internal`', async () => {
  const run = runOf(refs(3), {
    decode: (id) => (id === '1' ? Promise.reject(new TypeError('a fault of ours')) : Promise.resolve()),
  });
  await extract(run.options);
  expect(run.failed.map(({ ref, error }) => [ref.id, error.code, error instanceof HandlerError])).toEqual([
    ['1', 'internal', true],
  ]);
});
