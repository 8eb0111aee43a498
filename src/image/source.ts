import { createHash } from 'node:crypto';

import { ImageError } from '../base/errors.ts';
import type { Http } from '../http/http.ts';
import { readDataUrl } from './data-url.ts';

interface ImageBytes {
  bytes: Uint8Array;
  /** sha256 of the bytes, hex. */
  contentHash: string;
}

/** The bytes behind an address, whatever its kind. */
export interface ImageSource {
  /**
   * http(s) and `data:` addresses. `onRetry` is told of each further try.
   * @throws HttpError as `Http.get` does; ImageError `invalid_url`, `too_large`; or the signal's reason.
   */
  read(url: string, signal?: AbortSignal, onRetry?: () => void): Promise<ImageBytes>;
}

const MAX_IMAGE_BYTES = 64 * 1024 * 1024;

const IMAGE_HEADERS = { accept: 'image/*,*/*;q=0.8' };

export function createImageSource(options: { http: Http; maxBytes?: number }): ImageSource {
  const { http, maxBytes = MAX_IMAGE_BYTES } = options;
  const bytesOf = async (url: string, signal?: AbortSignal, onRetry?: () => void): Promise<Uint8Array> => {
    const scheme = /^\s*([a-z][a-z\d+.-]*):/i.exec(url)?.[1]?.toLowerCase();
    if (scheme === 'data') return readDataUrl(url, maxBytes);
    if (scheme === 'http' || scheme === 'https') {
      return (await http.get(url, { maxBytes, signal, onRetry, headers: IMAGE_HEADERS })).body;
    }
    const found = scheme === undefined ? 'there is none' : `found ${scheme.slice(0, 20)}:`;
    throw new ImageError(
      'invalid_url',
      `an image's address must begin with http:, https: or data:; ${found}`,
    );
  };
  return {
    async read(url, signal, onRetry) {
      signal?.throwIfAborted();
      const bytes = await bytesOf(url, signal, onRetry);
      return { bytes, contentHash: createHash('sha256').update(bytes).digest('hex') };
    },
  };
}
