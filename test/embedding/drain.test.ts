import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { HttpError, StoppedError } from '../../src/base/errors.ts';
import { extract } from '../../src/embedding/extract.ts';
import { abortable } from '../../src/flow/time.ts';
import {
  expectNothingRuns,
  LIMITS,
  never,
  quiet,
  refOf,
  refs,
  runOf,
  type Run,
} from '../support/extraction.ts';

const shutdown = new StoppedError('shutdown', 'SIGTERM');
const reads = (run: Run): string[] =>
  run.calls.flatMap(({ stage, images }) => (stage === 'read' ? images : []));

/** Starts it, and swallows that it fails until somebody asks. */
function started(run: Run): Promise<void> {
  const done = extract(run.options);
  done.catch(() => undefined);
  return done;
}

test('what was fetched is decoded, embedded and written, in batches however small, and nothing more is fetched', async () => {
  const gate = Promise.withResolvers<undefined>();
  const run = runOf(refs(2_000), { write: () => gate.promise });
  const done = started(run);
  await quiet();
  expect(run.running.read).toBe(0);
  const fetched = reads(run);
  expect(fetched.length).toBeGreaterThan(LIMITS.writes * LIMITS.writeSize);
  run.drain.abort(shutdown);
  await quiet();
  gate.resolve(undefined);
  await expect(done).rejects.toBe(shutdown);
  expect(reads(run)).toEqual(fetched);
  const ended = [...run.written.keys(), ...run.failed.map(({ ref }) => ref.id)];
  expect(ended.sort()).toEqual(fetched.sort());
  await expectNothingRuns(run);
});

test('downloads under way are cut and nobody is blamed; one that failed by itself is told', async () => {
  const fails = Promise.withResolvers<undefined>();
  const run = runOf(refs(50), {
    read: async (url, signal) => {
      if (url === '1') return never(signal);
      if (url !== '2') return;
      await abortable(fails.promise, undefined);
      throw new HttpError('http_404', 'gone');
    },
    write: () => Promise.resolve(),
  });
  run.options.images = refs(3);
  const done = started(run);
  await quiet();
  run.drain.abort(shutdown);
  fails.resolve(undefined);
  await expect(done).rejects.toBe(shutdown);
  expect([...run.written.keys()]).toEqual(['0']);
  expect(run.failed.map(({ ref }) => ref.id)).toEqual(['2']);
});

test('images whose url is under way come through with it; those whose download is cut are left', async () => {
  const gate = Promise.withResolvers<undefined>();
  const images = [1, 1, 2, 1, 2, 2, 1].map((url, i) => refOf(i, 'c', String(url)));
  const run = runOf(images, {
    read: (url, signal) => (url === '2' ? never(signal) : Promise.resolve()),
    decode: () => gate.promise,
  });
  const done = started(run);
  await quiet();
  run.drain.abort(shutdown);
  gate.resolve(undefined);
  await expect(done).rejects.toBe(shutdown);
  expect([...run.written.keys()].sort()).toEqual(['0', '1', '3', '6']);
  expect(run.failed).toEqual([]);
  await expectNothingRuns(run);
});

test('images that were answered from memory and wait for the writer are written', async () => {
  const gate = Promise.withResolvers<undefined>();
  const images = Array.from({ length: 1_000 }, (_, i) => refOf(i, 'c', String(i % 64)));
  let writes = 0;
  const run = runOf(images, {
    write: () => ((writes += 1) > 64 / LIMITS.writeSize ? gate.promise : Promise.resolve()),
  });
  const done = started(run);
  await quiet();
  const [fetched, listed] = [new Set(reads(run)), run.listed()];
  expect(listed).toBeGreaterThan(64 + 20);
  expect(listed).toBeLessThan(1_000);
  run.drain.abort(shutdown);
  await quiet();
  gate.resolve(undefined);
  await expect(done).rejects.toBe(shutdown);
  // The last one was about to be answered.
  const whole = images.slice(0, listed - 1).filter(({ url }) => fetched.has(url));
  expect([...run.written.keys()]).toEqual(expect.arrayContaining(whole.map(({ id }) => id)));
  expect(new Set([...run.written.keys()].map((id) => String(Number(id) % 64)))).toEqual(fetched);
  await expectNothingRuns(run);
});

test('a listing that hangs, or fails as it was stopped too, holds nothing up', async () => {
  for (const end of ['hangs', 'fails']) {
    const run = runOf(refs(70));
    run.options.images = (async function* () {
      yield* refs(70);
      if (end === 'fails') await never(run.drain.signal);
      await new Promise<never>(() => undefined);
    })();
    const done = started(run);
    await quiet();
    run.drain.abort(shutdown);
    await expect(done).rejects.toBe(shutdown);
    // Six of seventy were in the next lot of addresses.
    expect(run.written.size).toBe(64);
  }
});

test('when the time for it is over everything ends at once, but for the writes under way', async () => {
  const gate = Promise.withResolvers<undefined>();
  const run = runOf(refs(200), { write: () => gate.promise });
  const done = started(run);
  await quiet();
  run.drain.abort(shutdown);
  await quiet();
  run.stop.abort(shutdown);
  gate.resolve(undefined);
  await expect(done).rejects.toBe(shutdown);
  expect(run.written.size).toBe(LIMITS.writes * LIMITS.writeSize);
  await expectNothingRuns(run);
});

test('whenever it comes, what was fetched is written or fails, once', async () => {
  const upTo = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 150 }),
      fc.record({
        downloads: upTo(6),
        decoders: upTo(3),
        inference: upTo(3),
        writes: upTo(3),
        writeSize: upTo(9),
      }),
      upTo(60),
      fc.scheduler(),
      async (urls, limits, at, scheduler) => {
        const fetched = new Set<string>();
        let steps = 0;
        const step = async (): Promise<void> => {
          steps += 1;
          if (steps === at) run.drain.abort(shutdown);
          await scheduler.schedule(Promise.resolve());
        };
        const run = runOf(
          urls.map((url, i) => refOf(i, i % 2 === 0 ? 'a' : 'b', String(url))),
          {
            limits,
            read: async (url) => {
              run.drain.signal.throwIfAborted();
              await step();
              run.drain.signal.throwIfAborted();
              fetched.add(url);
              if (url === '7') throw new HttpError('http_404', url);
            },
            decode: step,
            write: step,
          },
        );
        const outcome = scheduler.waitFor(
          extract(run.options).then(
            () => 'done',
            (error: unknown) => error,
          ),
        );
        expect(await outcome).toBe(run.drain.signal.aborted ? shutdown : 'done');
        const ended = [...run.written.keys(), ...run.failed.map(({ ref }) => ref.id)];
        expect(new Set(ended).size).toBe(ended.length);
        expect(new Set(ended.map((id) => String(urls[Number(id)])))).toEqual(fetched);
        if (!run.drain.signal.aborted) expect(ended).toHaveLength(urls.length);
        await expectNothingRuns(run);
      },
    ),
    { numRuns: 150 },
  );
});
