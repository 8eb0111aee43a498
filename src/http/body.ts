import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, zstdDecompress } from 'node:zlib';

import { HttpError, isError } from '../base/errors.ts';
import { shownUrl } from './errors.ts';

/** What is read of a body nobody wants, so that its connection can be used again; beyond it, the connection is cut. */
const DISCARD_BYTES = 64 * 1024;
const DISCARD_MS = 1_000;

const DECOMPRESS = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

// Both functions end one turn of the event loop after the body does: only then does undici count the connection as
// free, and for a request made before that it would open another.

/** @throws HttpError `too_large` as soon as the announced or the counted bytes exceed the limit. */
export async function readBody(
  body: Readable,
  headers: Record<string, string>,
  url: URL,
  maxBytes: number,
): Promise<Uint8Array> {
  const announced = Number(headers['content-length'] ?? 0);
  if (announced > maxBytes) {
    body.destroy();
    throw tooLarge(url, maxBytes);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    // Leaving the loop destroys the stream, and with it the connection.
    if (size > maxBytes) throw tooLarge(url, maxBytes);
    chunks.push(chunk);
  }
  await setImmediate();
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return decompress(bytes, headers['content-encoding'], url, maxBytes);
}

/** We ask for `identity`; some object stores answer with the encoding the object was stored in all the same. */
async function decompress(
  bytes: Uint8Array,
  encoding: string | undefined,
  url: URL,
  maxBytes: number,
): Promise<Uint8Array> {
  const name = (encoding ?? 'identity').trim().toLowerCase();
  if (name === 'identity' || name === '' || bytes.byteLength === 0) return bytes;
  if (!(name in DECOMPRESS)) {
    throw new HttpError(
      'unsupported_encoding',
      `GET ${shownUrl(url)} came in content encoding "${name.slice(0, 40)}"`,
    );
  }
  try {
    return new Uint8Array(
      await DECOMPRESS[name as keyof typeof DECOMPRESS](bytes, { maxOutputLength: maxBytes }),
    );
  } catch (error) {
    if (isError(error) && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw tooLarge(url, maxBytes);
    throw new HttpError(
      'unsupported_encoding',
      `GET ${shownUrl(url)} came in broken content encoding "${name}"`,
    );
  }
}

/** Reads and forgets a short body; cuts off a long or slow one. Never throws. */
export async function discardBody(body: Readable): Promise<void> {
  const timer = setTimeout(() => {
    body.destroy();
  }, DISCARD_MS);
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > DISCARD_BYTES) break;
    }
  } catch {
    // The answer's status is what counts; its body was not wanted.
  } finally {
    clearTimeout(timer);
    await setImmediate();
  }
}

function tooLarge(url: URL, maxBytes: number): HttpError {
  return new HttpError(
    'too_large',
    `GET ${shownUrl(url)} is larger than the ${String(maxBytes)} bytes allowed`,
  );
}
