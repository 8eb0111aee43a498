import { createHash } from 'node:crypto';

import { HandlerError } from '../base/errors.ts';
import type { ImageRef } from './image-ref.ts';

/** What came of a url, as far as it came. */
export interface Outcome {
  /** sha256 of its bytes, once they were there. */
  content?: string | undefined;
  /** Not where nobody had to embed them. */
  vector?: Float32Array;
  error?: HandlerError;
}

/** The outcomes of the last urls, as many as there is room for. */
export interface KnownUrls {
  find(key: string): Outcome | undefined;
  /** A failure that may pass is not kept: the url is to be tried again. */
  keep(key: string, outcome: Outcome): void;
}

/** Longer ones are told apart by their hash: a `data:` url may have megabytes. */
const MAX_KEY_CHARS = 512;

/** By which images have the same url. As it is stored: a signed address is another one each time. */
export function urlKey({ url, storage }: ImageRef): string {
  const key = storage === null ? url : `${storage.bucket}/${storage.path}`;
  return key.length <= MAX_KEY_CHARS ? key : createHash('sha256').update(key).digest('base64');
}

/** Of more than `size`, the one that was asked for the longest time ago is forgotten. */
export function createKnownUrls(size: number): KnownUrls {
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
      const { error, ...rest } = outcome;
      if (error?.retryable === true) return;
      outcomes.set(key, error === undefined ? rest : { ...rest, error: bare(error) });
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
