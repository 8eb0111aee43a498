import { expect } from '@jest/globals';

import type { FailedImage } from '../../src/embedding/embedded-image.ts';
import type { ExtractLimits, ExtractOptions } from '../../src/embedding/extract.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import { createMeter } from '../../src/flow/meter.ts';
import { abortable } from '../../src/flow/time.ts';
import { outputSize, type Preprocessing } from '../../src/image/preprocessing.ts';
import { chosenSizes } from '../model/support.ts';

export const LIMITS: ExtractLimits = { downloads: 4, decoders: 2, writes: 2, writeSize: 8 };
export const BATCH_SIZE = 4;
/** The image of which the model says NaN. */
export const NOT_FINITE = '255';
const PREPROCESSING: Preprocessing = {
  resize: { kind: 'exact', width: 1, height: 1 },
  resample: 'nearest',
  crop: null,
  rescale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  rescaleBeforeResize: false,
  orient: true,
  alpha: 'drop',
};
const { width, height } = outputSize(PREPROCESSING);

export const refOf = (i: number, collection = 'c', url = String(i)): ImageRef => ({
  id: String(i),
  pointId: i,
  collection,
  type: 'product',
  url,
  storage: null,
  metadata: {},
});
export const refs = (count: number): ImageRef[] => Array.from({ length: count }, (_, i) => refOf(i));

type Stage = 'read' | 'decode' | 'embed' | 'write';

export interface Run {
  options: ExtractOptions;
  stop: AbortController;
  drain: AbortController;
  /** Images that were taken from the listing. */
  listed: () => number;
  /** Whether the listing was told that nobody reads on. */
  left: () => boolean;
  calls: { stage: Stage; images: string[] }[];
  /** Calls under way, and the most there were of each. */
  running: Record<Stage, number>;
  most: Record<Stage, number>;
  written: Map<string, { collection: string; vector: number[]; content: string }>;
  failed: FailedImage[];
  /** Ids of images that were said to have the bytes that their point was made of. */
  unchanged: string[];
  /** How many images were said to have been answered by another one of their url. */
  repeated: () => number;
}

type Given = Partial<Pick<ExtractOptions, 'sign' | 'write' | 'limits'>> & {
  read?: (id: string, signal: AbortSignal) => Promise<unknown>;
  decode?: (id: string) => Promise<unknown>;
  embed?: (ids: readonly string[]) => Promise<unknown>;
  /** Thrown by the listing behind its last image. */
  listingError?: Error;
};

/**
 * Pixels and vectors are the image's number, so that what belongs to which image can be seen. What is given runs within
 * the stage, and may throw.
 */
export function runOf(images: readonly ImageRef[], given: Given = {}): Run {
  const stop = new AbortController();
  const drain = new AbortController();
  const none = (): Record<Stage, number> => ({ read: 0, decode: 0, embed: 0, write: 0 });
  const run: Omit<Run, 'options' | 'listed' | 'left' | 'stop' | 'drain' | 'repeated'> = {
    calls: [],
    running: none(),
    most: none(),
    written: new Map(),
    failed: [],
    unchanged: [],
  };
  let listed = 0;
  let left = false;
  let repeated = 0;
  function* list(): Generator<ImageRef> {
    try {
      for (const ref of images) {
        listed += 1;
        yield ref;
      }
      if (given.listingError !== undefined) throw given.listingError;
    } finally {
      left = true;
    }
  }
  const during = async <T>(stage: Stage, ids: string[], work: () => Promise<T>): Promise<T> => {
    run.calls.push({ stage, images: ids });
    run.running[stage] += 1;
    run.most[stage] = Math.max(run.most[stage], run.running[stage]);
    try {
      return await work();
    } finally {
      run.running[stage] -= 1;
    }
  };
  const pixelsOf = (id: string): Uint8Array =>
    new Uint8Array(width * height * 3).fill(id === NOT_FINITE ? 255 : Number(id) % 255);
  const options: ExtractOptions = {
    images: list(),
    sign: given.sign ?? ((some) => Promise.resolve(some.map(({ url }) => url))),
    source: {
      read: (id, signal = stop.signal) =>
        during('read', [id], async () => {
          await given.read?.(id, signal);
          return { bytes: new TextEncoder().encode(id), contentHash: `hash of ${id}` };
        }),
    },
    decode: (bytes) => {
      const id = new TextDecoder().decode(bytes);
      return during('decode', [id], async () => {
        await given.decode?.(id);
        return pixelsOf(id);
      });
    },
    model: {
      modelType: 'demo',
      name: 'demo',
      dim: 2,
      fingerprint: 'demo@0',
      preprocessing: PREPROCESSING,
      provider: 'cpu',
      batchSize: BATCH_SIZE,
      sizes: chosenSizes(BATCH_SIZE),
      stopped: false,
      embed: (pixels, count) => {
        const ids = Array.from({ length: count }, (_, i) => String(pixels[i * width * height * 3]));
        return during('embed', ids, async () => {
          await given.embed?.(ids);
          return Float32Array.from(ids.flatMap((id) => [id === NOT_FINITE ? NaN : Number(id), -Number(id)]));
        });
      },
      close: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    write: (collection, some) =>
      during(
        'write',
        some.map(({ ref }) => ref.id),
        async () => {
          await given.write?.(collection, some);
          for (const { ref, vector, content } of some) {
            run.written.set(ref.id, { collection, vector: Array.from(vector), content });
          }
        },
      ),
    fail: (image) => run.failed.push(image),
    unchanged: (some) => {
      run.unchanged.push(...some.map(({ id }) => id));
      return Promise.resolve();
    },
    repeated: (count) => (repeated += count),
    stats: { meter: createMeter(), downloaded: () => undefined, retried: () => undefined },
    limits: given.limits ?? LIMITS,
    signal: stop.signal,
    drain: drain.signal,
  };
  return { ...run, options, stop, drain, listed: () => listed, left: () => left, repeated: () => repeated };
}

export const never = (signal: AbortSignal): Promise<never> =>
  abortable(new Promise<never>(() => undefined), signal);

/** Lets everything that can run without an event from outside run. */
export async function quiet(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

export async function expectNothingRuns(run: Run): Promise<void> {
  expect(run.running).toEqual({ read: 0, decode: 0, embed: 0, write: 0 });
  // A listing may hang in its last read: it is told, not waited for.
  await quiet();
  expect(run.left()).toBe(true);
}
