import { createHash } from 'node:crypto';

import { HandlerError } from '../base/errors.ts';
import { createChannel } from '../flow/channel.ts';
import type { Source } from '../flow/streams.ts';
import type { EmbeddedImage, FailedImage } from './embedded-image.ts';
import type { ImageRef } from './image-ref.ts';

export interface SameUrlOptions {
  /** Length of a vector. */
  dim: number;
  fail: (failed: FailedImage) => void;
  /** Told of images that were answered by another image of their url. */
  repeated: (images: number) => void;
  /** Urls whose outcome is kept, and repeats that may wait at once. */
  window?: number | undefined;
}

/**
 * Sees to it that of the images of one url, within a window of 10,000 urls, one is fetched and embedded, and the others
 * are answered with what came of it. An image never waits for what does not come: those that wait hold no place in the
 * pipeline, and are let go with their first, however it ends.
 */
export interface SameUrls {
  /** Passes on, in order, the images that are to be fetched. */
  firsts(images: Source<ImageRef>): AsyncGenerator<ImageRef>;
  /** Repeats of urls that were done already. Ends with `firsts`, which waits for its reader. */
  readonly answered: AsyncIterable<EmbeddedImage[]>;
  /** The images, each followed by those that waited for it. */
  readonly embedded: (images: readonly EmbeddedImage[]) => EmbeddedImage[];
  /** The image failed, and with it those that waited for it. */
  readonly failed: (image: FailedImage) => void;
}

const WINDOW = 10_000;
/** Of the vectors that are kept: 10,000 have 41 MB at the longest of the catalogue, 1,024 numbers. */
const WINDOW_BYTES = 256 * 1024 * 1024;
/** Longer ones are told apart by their hash: a `data:` url may have megabytes. */
const MAX_KEY_CHARS = 512;
/** Answered repeats that may wait for the writer. */
const ANSWERED_AHEAD = 64;

type Outcome = Pick<EmbeddedImage, 'vector' | 'content'> | Pick<FailedImage, 'error'>;

/** A url that is under way, and the images that wait for its outcome. */
interface UnderWay {
  key: string;
  followers: ImageRef[];
}

export function createSameUrls(options: SameUrlOptions): SameUrls {
  const { dim, fail, repeated, window = WINDOW } = options;
  const known = createWindow(
    Math.min(window, Math.floor(WINDOW_BYTES / (dim * Float32Array.BYTES_PER_ELEMENT))),
  );
  const byKey = new Map<string, UnderWay>();
  const byFirst = new Map<ImageRef, UnderWay>();
  const answered = createChannel<EmbeddedImage[]>(ANSWERED_AHEAD);
  let waiting = 0;

  /** False when nobody reads the answers any more. */
  const answer = async (ref: ImageRef, outcome: Outcome): Promise<boolean> => {
    repeated(1);
    if ('vector' in outcome) return answered.push([{ ref, ...outcome }]);
    fail({ ref, ...outcome });
    return true;
  };

  /** True where the image is the first of its url, or no more can wait. */
  const isToFetch = (ref: ImageRef, key: string): boolean => {
    const first = byKey.get(key);
    if (first === undefined) {
      const begun = { key, followers: [] };
      byKey.set(key, begun);
      byFirst.set(ref, begun);
      return true;
    }
    if (waiting >= window) return true;
    first.followers.push(ref);
    waiting += 1;
    return false;
  };

  /** The images that this outcome is for. */
  const settle = (ref: ImageRef, outcome: Outcome): ImageRef[] => {
    const underWay = byFirst.get(ref);
    if (underWay === undefined) return [ref];
    const { key, followers } = underWay;
    byFirst.delete(ref);
    byKey.delete(key);
    waiting -= followers.length;
    if (isLasting(outcome)) known.keep(key, outcome);
    if (followers.length > 0) repeated(followers.length);
    return [ref, ...followers];
  };

  return {
    async *firsts(images) {
      try {
        for await (const ref of images) {
          const key = keyOf(ref);
          const outcome = known.find(key);
          if (outcome === undefined) {
            if (isToFetch(ref, key)) yield ref;
          } else if (!(await answer(ref, outcome))) {
            return;
          }
        }
      } finally {
        answered.close();
      }
    },
    answered,
    embedded: (images) =>
      images.flatMap(({ ref, vector, content }) =>
        settle(ref, { vector, content }).map((each) => ({ ref: each, vector, content })),
      ),
    failed({ ref, error }) {
      for (const each of settle(ref, { error })) fail({ ref: each, error });
    },
  };
}

/** What the url would come to again. */
function isLasting(outcome: Outcome): boolean {
  return 'vector' in outcome || !outcome.error.retryable;
}

interface Window {
  find(key: string): Outcome | undefined;
  keep(key: string, outcome: Outcome): void;
}

/** Of more than `size`, the one that was asked for the longest time ago is forgotten. */
function createWindow(size: number): Window {
  const outcomes = new Map<string, Outcome>();
  return {
    find(key) {
      const outcome = outcomes.get(key);
      if (outcome === undefined) return undefined;
      outcomes.delete(key);
      outcomes.set(key, outcome);
      return outcome;
    },
    keep(key, outcome) {
      outcomes.set(key, 'error' in outcome ? { error: bare(outcome.error) } : outcome);
      if (outcomes.size <= size) return;
      const [oldest] = outcomes.keys();
      if (oldest !== undefined) outcomes.delete(oldest);
    },
  };
}

/** Without the causes, which may hold on to a connection and its buffers. */
function bare({ code, message }: HandlerError): HandlerError {
  return new HandlerError(code, message);
}

/** As it is stored: a signed address is another one each time. */
function keyOf({ url, storage }: ImageRef): string {
  const key = storage === null ? url : `${storage.bucket}/${storage.path}`;
  return key.length <= MAX_KEY_CHARS ? key : createHash('sha256').update(key).digest('base64');
}
