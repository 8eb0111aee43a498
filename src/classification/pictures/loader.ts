import type { Size } from '../../image/geometry.ts';
import { batches as inBatches, mapConcurrent, type Source } from '../../flow/streams.ts';
import type { MixPlan } from '../augment/mix.ts';
import type { Recipe } from '../augment/recipe.ts';
import type { Sample } from '../sample.ts';
import type { Pictures } from './pictures.ts';
import type { Pool } from './pool.ts';
import type { ViewTask } from './pool-messages.ts';

/** Pictures of one step. The pixels are the reader's until it asks for the next batch. */
export interface PixelBatch {
  /** In the order of the pixels; those that could not be had are left out. */
  samples: readonly Sample[];
  /** `[samples, height, width, 3]`. */
  pixels: Uint8Array<SharedArrayBuffer>;
  /** How the pictures are mixed with each other. */
  plan: MixPlan | null;
  /** Samples of the stream that have come so far, those that could not be had among them. */
  end: number;
}

export interface BatchesOptions {
  samples: Source<Sample>;
  batchSize: number;
  /** Null: plain views, as the model sees pictures when it is used. */
  random: RandomViews | null;
}

interface RandomViews {
  recipe: Recipe;
  /** What a sample's view is keyed by, given its place in the stream. */
  keys: (sample: Sample, place: number) => readonly (string | number)[];
  /** How the batch that begins at this place is mixed. */
  mix: (place: number) => MixPlan | null;
}

/** How often the reader had to wait. */
interface LoaderStatistics {
  batches: number;
  /** Of those, how many were not ready when they were asked for. */
  late: number;
  waitedMs: number;
}

export interface Loader {
  /** In order. The first batch of a stream is never counted as late: there was nothing to do meanwhile. */
  batches(options: BatchesOptions): AsyncGenerator<PixelBatch>;
  readonly statistics: Readonly<LoaderStatistics>;
}

export interface LoaderOptions {
  pictures: Pictures;
  pool: Pool;
  size: Size;
  /** Batches that are made ready ahead, as far as memory allows. */
  prefetch: number;
  /** Pixels of those batches together; one is made ahead whatever its size. */
  maxAheadBytes?: number;
  signal: AbortSignal;
}

/** A wait below this is the time that handing over takes. */
const READY_MS = 2;
const MAX_AHEAD_BYTES = 2 ** 30;
/** Parts of a batch for each thread: a slow picture then holds up little. */
const PARTS_A_THREAD = 2;

export function createLoader(options: LoaderOptions): Loader {
  const { pictures, pool, size, prefetch, maxAheadBytes = MAX_AHEAD_BYTES, signal } = options;
  const bytes = size.width * size.height * 3;
  const statistics: LoaderStatistics = { batches: 0, late: 0, waitedMs: 0 };
  const free: Uint8Array<SharedArrayBuffer>[] = [];
  const take = (length: number): Uint8Array<SharedArrayBuffer> => {
    const place = free.findIndex((pixels) => pixels.length === length);
    const [found] = place === -1 ? [] : free.splice(place, 1);
    return found ?? new Uint8Array(new SharedArrayBuffer(length));
  };

  const make = async (
    { samples, place }: { samples: readonly Sample[]; place: number },
    { batchSize, random }: BatchesOptions,
  ): Promise<PixelBatch> => {
    await pictures.load(samples);
    const pixels = take(batchSize * bytes);
    const present: Sample[] = [];
    const views: ViewTask[] = [];
    for (const [i, sample] of samples.entries()) {
      const frame = pictures.frameOf(sample);
      if (frame === undefined) continue;
      const { offset, width, height } = frame;
      const slot = present.push(sample) - 1;
      views.push({ slot, offset, width, height, keys: random?.keys(sample, place + i) ?? null });
    }
    const recipe = random?.recipe ?? {};
    const part = Math.max(1, Math.ceil(views.length / (pool.threads * PARTS_A_THREAD)));
    const parts = Array.from({ length: Math.ceil(views.length / part) }, (_, i) =>
      views.slice(i * part, (i + 1) * part),
    );
    await Promise.all(parts.map((some) => pool.run({ type: 'views', pixels, size, recipe, views: some })));
    const plan = random?.mix(place) ?? null;
    if (plan !== null) await pool.run({ type: 'mix', pixels, size, count: present.length, plan });
    return {
      samples: present,
      pixels: pixels.subarray(0, present.length * bytes),
      plan,
      end: place + samples.length,
    };
  };

  return {
    statistics,
    async *batches(asked) {
      const ahead = Math.min(prefetch, Math.floor(maxAheadBytes / (asked.batchSize * bytes)));
      const made = mapConcurrent(
        withPlaces(inBatches(asked.samples, asked.batchSize)),
        Math.max(1, ahead),
        (batch) => make(batch, asked),
        { ordered: true, signal },
      );
      try {
        for (let first = true; ; first = false) {
          const waitedFrom = performance.now();
          const next = await made.next();
          if (next.done === true) return;
          if (!first) count(statistics, performance.now() - waitedFrom);
          if (next.value.samples.length > 0) yield next.value;
          free.push(new Uint8Array(next.value.pixels.buffer));
        }
      } finally {
        await made.return(undefined);
      }
    },
  };
}

function count(statistics: LoaderStatistics, waitedMs: number): void {
  statistics.batches += 1;
  statistics.waitedMs += waitedMs;
  if (waitedMs >= READY_MS) statistics.late += 1;
}

async function* withPlaces(
  source: AsyncIterable<readonly Sample[]>,
): AsyncGenerator<{ samples: readonly Sample[]; place: number }> {
  let place = 0;
  for await (const samples of source) {
    yield { samples, place };
    place += samples.length;
  }
}
