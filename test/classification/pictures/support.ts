import { openFrameFile, type FrameFile } from '../../../src/classification/pictures/frame-file.ts';
import {
  createPictures,
  type PictureLimits,
  type Pictures,
} from '../../../src/classification/pictures/pictures.ts';
import { createPictureSource } from '../../../src/classification/pictures/source.ts';
import { createWholeDecoder } from '../../../src/image/decode.ts';
import type { SignPaths } from '../../../src/job/sign.ts';
import { preprocessing } from '../../image/support.ts';
import { NEVER } from '../support.ts';

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
