import type { Http } from '../http/http.ts';

export interface ImageBytes {
  bytes: Uint8Array;
  /** sha256 of the bytes, hex. */
  contentHash: string;
}

export interface ImageSource {
  read(url: string, signal?: AbortSignal): Promise<ImageBytes>;
}

export function createImageSource(_options: { http: Http; maxBytes?: number }): ImageSource {
  throw new Error('not yet');
}
