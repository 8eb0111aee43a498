import { createChannel } from './channel.ts';
import type { Place, StageGauge } from './meter.ts';
import { abortable } from './time.ts';

export type Source<T> = AsyncIterable<T> | Iterable<T>;

export interface MapOptions {
  signal?: AbortSignal | undefined;
  /** Results in the order of their items; otherwise as they come, so that a slow one holds nobody up. */
  ordered?: boolean;
  /** Told what each of the workers does. */
  gauge?: StageGauge | undefined;
}

function iterate<T>(source: Source<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}

/**
 * Applies `fn` to every item, at most `concurrency` at once; a consumer that stops reading stops the reading of the
 * source. The first error ends the stream. When the stream has ended, in whatever way, nothing of it runs any more.
 */
export async function* mapConcurrent<A, B extends {} | null>(
  source: Source<A>,
  concurrency: number,
  fn: (item: A) => Promise<B>,
  options: MapOptions = {},
): AsyncGenerator<B> {
  const { signal, ordered = false, gauge } = options;
  const iterator = iterate(source);
  const results = createChannel<{ value: B }>(1);
  let over = false;
  let turn = Promise.resolve(true);
  // It changes while a worker waits, which the compiler does not see.
  const isOver = (): boolean => over;

  const work = async (place: Place | undefined): Promise<void> => {
    while (!over) {
      signal?.throwIfAborted();
      const next = await abortable(Promise.resolve(iterator.next()), signal);
      if (next.done === true || isOver()) return;
      const previous = turn;
      const { promise: mine, resolve: pass } = Promise.withResolvers<boolean>();
      turn = mine;
      try {
        place?.to('working');
        const value = await fn(next.value);
        place?.to('held');
        if (ordered) await previous;
        over = !(await results.push({ value })) || over;
        place?.to('waiting');
      } finally {
        pass(true);
      }
    }
  };
  const worker = async (): Promise<void> => {
    const place = gauge?.open();
    try {
      await work(place);
    } finally {
      place?.close();
    }
  };

  const workers = Array.from({ length: Math.max(1, concurrency) }, () =>
    worker().catch((error: unknown) => {
      over = true;
      results.close(error);
    }),
  );
  const all = Promise.all(workers).then(() => {
    results.close();
  });
  try {
    for await (const { value } of results) yield value;
  } finally {
    over = true;
    results.abandon();
    await all;
    await leave(iterator, signal);
  }
}

/** Reads up to `ahead` items before they are asked for. */
export function prefetch<A>(source: Source<A>, ahead: number, signal?: AbortSignal): AsyncGenerator<A> {
  return merge([source], { ahead, signal });
}

/**
 * What any of the sources gives, as it comes, read up to `ahead` items before they are asked for. Ends when all of them
 * have ended; the first error ends it.
 */
export async function* merge<A>(
  sources: readonly Source<A>[],
  { ahead = 1, signal }: { ahead?: number; signal?: AbortSignal | undefined } = {},
): AsyncGenerator<A> {
  const iterators = sources.map(iterate);
  const read = createChannel<{ value: A }>(ahead);
  const pump = async (iterator: AsyncIterator<A> | Iterator<A>): Promise<void> => {
    for (;;) {
      signal?.throwIfAborted();
      const next = await abortable(Promise.resolve(iterator.next()), signal);
      if (next.done === true || !(await read.push({ value: next.value }))) return;
    }
  };
  const pumping = Promise.all(iterators.map(pump)).then(
    () => {
      read.close();
    },
    (error: unknown) => {
      read.close(error);
    },
  );
  try {
    for await (const { value } of read) yield value;
  } finally {
    read.abandon();
    await pumping;
    await Promise.all(iterators.map((iterator) => leave(iterator, signal)));
  }
}

/** The source until the signal aborts; from then on it is as if there were no more of it, whatever the source does. */
export async function* until<A>(source: Source<A>, signal: AbortSignal): AsyncGenerator<A> {
  const iterator = iterate(source);
  try {
    while (!signal.aborted) {
      const next = await abortable(Promise.resolve(iterator.next()), signal);
      if (next.done === true || isAborted(signal)) return;
      yield next.value;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await leave(iterator, signal);
  }
}

/** It changes while something is waited for, which the compiler does not see. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** The source as a stage of one place: it works while its reader waits for it, and is held while nobody asks. */
export async function* metered<T>(source: Source<T>, gauge: StageGauge | undefined): AsyncGenerator<T> {
  const place = gauge?.open();
  try {
    place?.to('working');
    for await (const item of source) {
      place?.to('held');
      yield item;
      place?.to('working');
    }
  } finally {
    place?.close();
  }
}

/** Groups of `size`, the last one smaller. Never an empty one. */
export async function* batches<A>(source: Source<A>, size: number): AsyncGenerator<A[]> {
  let batch: A[] = [];
  for await (const item of source) {
    batch.push(item);
    if (batch.length >= size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** Tells a source that nobody reads on. An aborted one may hang in its last read: it is told, not waited for. */
async function leave(
  iterator: AsyncIterator<unknown> | Iterator<unknown>,
  signal?: AbortSignal,
): Promise<void> {
  const left = Promise.resolve(iterator.return?.()).catch(() => undefined);
  if (signal?.aborted !== true) await left;
}
