import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

import { HttpError } from '../base/errors.ts';
import { retry } from '../flow/retry.ts';
import { timeLimit } from '../flow/time-limit.ts';
import type { Http } from './http.ts';

/** For one file of any size, with all its tries: 1.2 GB at 3 Mbit/s. Who sends a byte now and then is never silent. */
export const FILE_DEADLINE_MS = 3_600_000;

export interface SaveOptions {
  http: Http;
  /** Limit of the file in bytes. */
  maxBytes: number;
  signal: AbortSignal;
  deadlineMs?: number;
}

export interface SavedFile {
  sha256: string;
  /** In bytes. */
  size: number;
}

/**
 * Streams what lies at an address to the disk, and again from the beginning while what went wrong may pass.
 * @throws HttpError as `Http.get` does; what the disk says; or the signal's reason.
 */
export async function saveFile(
  address: string,
  path: string,
  { http, maxBytes, signal, deadlineMs = FILE_DEADLINE_MS }: SaveOptions,
): Promise<SavedFile> {
  using limit = timeLimit(deadlineMs, signal, () => {
    const message = `a file took longer than ${String(deadlineMs / 1_000)} s`;
    return new HttpError('timeout', message, { retryable: true });
  });
  const save = (body: AsyncIterable<Uint8Array>): Promise<SavedFile> => {
    const hash = createHash('sha256');
    let size = 0;
    const counted = async function* (pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces) {
        hash.update(piece);
        size += piece.byteLength;
        yield piece;
      }
    };
    return pipeline(body, counted, createWriteStream(path)).then(() => ({
      sha256: hash.digest('hex'),
      size,
    }));
  };
  return await retry(
    () => http.stream(address, { maxBytes, signal: limit.signal }, ({ body }) => save(body)),
    { signal: limit.signal },
  );
}
