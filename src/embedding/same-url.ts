import { createChannel } from '../flow/channel.ts';
import type { Source } from '../flow/streams.ts';
import type { EmbeddedImage, FailedImage } from './embedded-image.ts';
import { isUnchanged, type ImageRef } from './image-ref.ts';
import { createKnownUrls, urlKey, type Outcome } from './known-urls.ts';

export interface SameUrlOptions {
  /** Length of a vector. */
  dim: number;
  fail: (failed: FailedImage) => void;
  /** Told of images whose point was made of the very bytes that their url gives. Never rejects. */
  unchanged: (images: readonly ImageRef[]) => Promise<void>;
  /** Told of images that are answered without being fetched: what came of another image of their url is for them too. */
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
  /**
   * What an image's url gave. Resolves with the image that these bytes are to be embedded for: itself, or one that waits
   * for it where it has not changed itself; null where none has.
   */
  fetched(ref: ImageRef, content: string): Promise<ImageRef | null>;
  /** The images, each followed by those that waited for it. */
  readonly embedded: (images: readonly EmbeddedImage[]) => EmbeddedImage[];
  /** No more images are to come: what is answered already may still be read. */
  readonly close: () => void;
  /** The image failed, and with it those that waited for it. */
  readonly failed: (image: FailedImage) => void;
}

const WINDOW = 10_000;
/** Of the vectors that are kept: 10,000 have 41 MB at the longest of the catalogue, 1,024 numbers. */
const WINDOW_BYTES = 256 * 1024 * 1024;
/** Answered repeats that may wait for the writer. */
const ANSWERED_AHEAD = 64;

/** A url that is under way, and the images that wait for its outcome. */
interface UnderWay {
  key: string;
  followers: ImageRef[];
  /** Once it is fetched. */
  content?: string;
}

export function createSameUrls(options: SameUrlOptions): SameUrls {
  const { dim, fail, unchanged, repeated, window = WINDOW } = options;
  const vectors = Math.floor(WINDOW_BYTES / (dim * Float32Array.BYTES_PER_ELEMENT));
  const known = createKnownUrls(Math.min(window, vectors));
  const byKey = new Map<string, UnderWay>();
  const byFirst = new Map<ImageRef, UnderWay>();
  const answered = createChannel<EmbeddedImage[]>(ANSWERED_AHEAD);
  let waiting = 0;

  const begin = (ref: ImageRef, underWay: UnderWay): void => {
    byKey.set(underWay.key, underWay);
    byFirst.set(ref, underWay);
  };

  /** The images that this outcome is for. */
  const settle = (ref: ImageRef, outcome: Outcome): ImageRef[] => {
    const underWay = byFirst.get(ref);
    if (underWay === undefined) return [ref];
    const { key, followers, content } = underWay;
    byFirst.delete(ref);
    byKey.delete(key);
    waiting -= followers.length;
    repeated(followers.length);
    known.keep(key, { content, ...outcome });
    return [ref, ...followers];
  };

  return {
    async *firsts(images) {
      try {
        for await (const ref of images) {
          const key = urlKey(ref);
          const outcome = known.find(key);
          const underWay = byKey.get(key);
          const { vector, error, content = underWay?.content } = outcome ?? {};
          if (isUnchanged(ref, content)) {
            await unchanged([ref]);
            repeated(1);
          } else if (error !== undefined) {
            fail({ ref, error });
            repeated(1);
          } else if (vector !== undefined && content !== undefined) {
            if (!(await answered.push([{ ref, vector, content }]))) return;
            repeated(1);
          } else if (underWay !== undefined && waiting < window) {
            underWay.followers.push(ref);
            waiting += 1;
          } else {
            if (underWay === undefined) begin(ref, { key, followers: [] });
            yield ref;
          }
        }
      } finally {
        answered.close();
      }
    },
    answered,
    async fetched(ref, content) {
      const underWay = byFirst.get(ref);
      const images = [ref, ...(underWay?.followers ?? [])];
      const same = images.filter((image) => isUnchanged(image, content));
      const [first = null, ...followers] = images.filter((image) => !isUnchanged(image, content));
      if (first === null) settle(ref, { content });
      else if (underWay !== undefined) {
        waiting += followers.length - underWay.followers.length;
        byFirst.delete(ref);
        begin(first, { key: underWay.key, followers, content });
        repeated(same.length);
      }
      if (same.length > 0) await unchanged(same);
      return first;
    },
    close: () => {
      answered.close();
    },
    embedded: (images) =>
      images.flatMap(({ ref, vector, content }) =>
        settle(ref, { vector, content }).map((each) => ({ ref: each, vector, content })),
      ),
    failed({ ref, error }) {
      for (const each of settle(ref, { error })) fail({ ref: each, error });
    },
  };
}
