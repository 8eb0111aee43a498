import { pipeline, Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';

import { HttpError, isError } from '../base/errors.ts';
import { discardBody } from './body.ts';
import { shownUrl, translateError } from './errors.ts';
import { parseUrl, type Answer, type Follow } from './follow.ts';
import { requestHeaders } from './headers.ts';

export interface StreamOptions {
  /** Limit of the body in bytes, as sent and as decompressed. */
  maxBytes: number;
  method?: 'GET' | 'HEAD';
  /** Sent to the first origin only: a redirect to another one takes none along but `accept` and `range`. */
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Statuses outside 200 to 299 that the caller wants to see rather than get as an error. */
  accept?: readonly number[];
  /** False: a redirect to another origin is the answer. Those within the origin are followed all the same. */
  leaveOrigin?: boolean;
}

export interface HttpStream {
  status: number;
  headers: Record<string, string>;
  /** Where the body comes from, after redirects. As it is: it may be a signed address. */
  url: string;
  /** Once, in pieces. Ends in an HttpError `network`, `timeout` or `too_large` when it does not end well. */
  body: AsyncIterable<Uint8Array>;
}

const DECOMPRESS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

const NEVER = new AbortController().signal;

/** One request, tried once, whose body is handed on as it comes; `read` must be done with it when it returns. */
export async function streamBody<T>(
  follow: Follow,
  address: string,
  options: StreamOptions & { userAgent: string },
  read: (answer: HttpStream) => Promise<T>,
): Promise<T> {
  const { maxBytes, method = 'GET', headers = {}, signal = NEVER, accept = [] } = options;
  const { leaveOrigin = true, userAgent } = options;
  signal.throwIfAborted();
  return follow(parseUrl(address), {
    method,
    headers: requestHeaders(headers, userAgent),
    signal,
    wants: (status, from, next) =>
      next === undefined ? accept.includes(status) : !leaveOrigin && next.origin !== from.origin,
    take: async (answer) => {
      const { status, headers: received, url, body } = answer;
      try {
        const pieces = piecesOf(answer, maxBytes, signal);
        const result = await read({ status, headers: received, url: url.href, body: pieces });
        await discardBody(body);
        return result;
      } catch (error) {
        // Nobody waits for the rest.
        body.destroy();
        throw error;
      }
    },
  });
}

async function* piecesOf(
  { body, headers, url }: Answer,
  maxBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const decompress = DECOMPRESS[encoding];
  if (decompress === undefined && encoding !== 'identity' && encoding !== '') {
    throw new HttpError(
      'unsupported_encoding',
      `GET ${shownUrl(url)} came in content encoding "${encoding.slice(0, 40)}"`,
    );
  }
  const sent = limited(body, maxBytes, url);
  try {
    if (decompress === undefined) yield* sent;
    else yield* limited(decompressed(sent, decompress(), encoding, url), maxBytes, url);
  } catch (error) {
    signal.throwIfAborted();
    throw translateError(error, url);
  }
}

/** What an object store packed by itself, although we ask for the body as it is. */
async function* decompressed(
  packed: AsyncIterable<Uint8Array>,
  transform: Transform,
  encoding: string,
  url: URL,
): AsyncGenerator<Uint8Array> {
  pipeline(Readable.from(packed), transform, () => undefined);
  try {
    yield* transform as AsyncIterable<Uint8Array>;
  } catch (error) {
    const isPacking = isError(error) && 'code' in error && /^(?:Z_|ERR_)/.test(String(error.code));
    if (!isPacking) throw error;
    throw new HttpError(
      'unsupported_encoding',
      `GET ${shownUrl(url)} came in broken content encoding "${encoding}"`,
    );
  }
}

async function* limited(
  source: AsyncIterable<unknown>,
  maxBytes: number,
  url: URL,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const piece of source as AsyncIterable<Uint8Array>) {
    size += piece.byteLength;
    if (size > maxBytes) {
      throw new HttpError(
        'too_large',
        `GET ${shownUrl(url)} is larger than the ${String(maxBytes)} bytes allowed`,
      );
    }
    yield piece;
  }
}
