import { openFrameFile, type FrameFile } from '../../../src/classification/pictures/frame-file.ts';
import {
  createPictures,
  type PictureLimits,
  type Pictures,
} from '../../../src/classification/pictures/pictures.ts';
import { createLoader, type Loader } from '../../../src/classification/pictures/loader.ts';
import { createPool } from '../../../src/classification/pictures/pool.ts';
import { createPictureSource } from '../../../src/classification/pictures/source.ts';
import type { Sample } from '../../../src/classification/sample.ts';
import { createWholeDecoder } from '../../../src/image/decode.ts';
import type { SignPaths } from '../../../src/job/sign.ts';
import { preprocessing } from '../../image/support.ts';
import { temporaryFolder } from '../../support/folder.ts';
import type { TestImages } from '../../support/images.ts';
import { NEVER, sample } from '../support.ts';

export const openFrames = (
  folder: string,
  part: { decoding?: string; memoryBytes?: number } = {},
): Promise<FrameFile> => openFrameFile({ folder, decoding: 'test', memoryBytes: 0, ...part });

/** Pictures of 48 x 48 as the test server draws them, cut to 40 when used. */
export const PREPROCESSING = preprocessing({
  resize: { kind: 'shortest_edge', size: 48 },
  crop: { width: 40, height: 40 },
});

export interface TestPicturesOptions {
  folder: string;
  timeoutSeconds?: number;
  limits?: Partial<PictureLimits>;
  sign?: SignPaths;
  signal?: AbortSignal;
  memoryBytes?: number;
}

/** Pictures with all real parts. */
export async function testPictures(
  options: TestPicturesOptions,
): Promise<AsyncDisposable & { pictures: Pictures; frames: FrameFile }> {
  const started = new AsyncDisposableStack();
  const { folder, timeoutSeconds = 30, signal = NEVER, memoryBytes = 0 } = options;
  const frames = started.use(await openFrames(folder, { memoryBytes }));
  const source = started.use(
    createPictureSource({ max_workers: 8, http_timeout: timeoutSeconds }, { allowPrivateHosts: true }),
  );
  const pictures = createPictures({
    frames,
    sign: options.sign ?? ((storages) => Promise.resolve(storages.map(({ path }) => `unsigned:${path}`))),
    source,
    decode: createWholeDecoder(),
    preprocessing: PREPROCESSING,
    limits: { downloads: 8, decoders: 2, attempts: 3, retryDelayMs: 1, ...options.limits },
    signal,
  });
  return { pictures, frames, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** Of the pictures when they are used. */
export const SIZE = { width: 40, height: 40 };

export interface TestLoader extends AsyncDisposable {
  loader: Loader;
  samples: Sample[];
  set: Awaited<ReturnType<typeof testPictures>>;
}

export interface TestLoaderOptions {
  threads?: number;
  memoryBytes?: number;
  prefetch?: number;
  maxAheadBytes?: number;
}

/** A loader of so many pictures of a thing, with all real parts. */
export async function openTestLoader(
  images: TestImages,
  options: TestLoaderOptions & { name: string; count: number },
): Promise<TestLoader> {
  const { name, count, threads = 2, memoryBytes = 0, prefetch = 2, maxAheadBytes = 1e9 } = options;
  const started = new AsyncDisposableStack();
  const folder = started.use(await temporaryFolder());
  const set = started.use(await testPictures({ folder: folder.path, memoryBytes }));
  const { pictures, frames } = set;
  const pool = started.use(createPool({ threads, path: frames.path, memory: frames.memory }));
  return {
    set,
    samples: Array.from({ length: count }, (_, i) =>
      sample({ id: `${name} ${i}`, url: `${images.url}/cutouts/${name} ${i}/1.jpg` }),
    ),
    loader: createLoader({ pictures, pool, size: SIZE, prefetch, maxAheadBytes, signal: NEVER }),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
