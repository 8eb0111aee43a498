import { Agent } from 'undici';

import { HttpError } from '../base/errors.ts';
import { retry } from '../flow/retry.ts';
import { timeLimit } from '../flow/time-limit.ts';
import { readBody } from './body.ts';
import { shownUrl, translateError } from './errors.ts';
import { createFollow, parseUrl, type Answer, type Exchange } from './follow.ts';
import { createGuard, type ResolveName } from './guard.ts';
import { requestHeaders } from './headers.ts';
import { createHostSlots } from './host-slots.ts';
import { postJson, type PostOptions } from './post.ts';
import { streamBody, type HttpStream, type StreamOptions } from './stream.ts';

interface HttpResponse {
  /** 200 to 299: anything else is an error. */
  status: number;
  /** Lower-case names; a header that came several times is joined by commas. */
  headers: Record<string, string>;
  body: Uint8Array;
  /** Where the body came from in the end, after redirects. As it is: it may be a signed address. */
  url: string;
}

interface GetOptions {
  /** Limit of the body in bytes, as sent and as decompressed. */
  maxBytes: number;
  signal?: AbortSignal | undefined;
  /** Sent to the first host only: a redirect to another one takes none along but `accept` and `range`. */
  headers?: Record<string, string>;
  /** Told of each further try. */
  onRetry?: (() => void) | undefined;
}

/** The one way out. */
export interface Http {
  /**
   * Gets the whole body; follows up to 5 redirects, each checked as the first address is; tries again what may pass.
   * @throws HttpError `http_<status>`, `timeout`, `network`, `too_large`, `blocked_address`, `invalid_url`,
   * `too_many_redirects`, `unsupported_encoding`; or the signal's reason.
   */
  get(url: string, options: GetOptions): Promise<HttpResponse>;
  /**
   * One request, tried once, its body handed to `read` as it comes and never held whole; guard, redirects and places
   * as with `get`, but no time limit for the whole. What `read` throws is passed on; `read` must not keep the body.
   * @throws HttpError as `get` does; or the signal's reason.
   */
  stream<T>(url: string, options: StreamOptions, read: (answer: HttpStream) => Promise<T>): Promise<T>;
  /**
   * Posts JSON, and again while what went wrong may pass: for calls that may well arrive twice. Not redirected.
   * @throws HttpError as `get` does; or the signal's reason.
   */
  post(url: string, options: PostOptions): Promise<void>;
  /** Ends what is under way and closes all connections. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface HttpOptions {
  /** Loopback and private addresses may be spoken to; cloud metadata addresses never. Default: no. */
  allowPrivateHosts?: boolean;
  connectionsPerHost?: number;
  /** Requests under way at once, over all hosts. */
  concurrency?: number;
  connectTimeoutMs?: number;
  /** From the request to the answer's headers. */
  headersTimeoutMs?: number;
  /** Between two pieces of the body. */
  bodyTimeoutMs?: number;
  /** For one `get` with all its redirects and tries. */
  deadlineMs?: number;
  /** Tries in all, the first included. */
  attempts?: number;
  userAgent?: string;
  resolveName?: ResolveName;
}

const CONCURRENCY = 64;
const CONNECTIONS_PER_HOST = 32;
const CONNECT_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 30_000;
const BODY_TIMEOUT_MS = 30_000;
const DEADLINE_MS = 120_000;
const ATTEMPTS = 3;
/** Longer than undici's 4 s, so that a pause between two batches keeps the connections. */
const KEEP_ALIVE_MS = 15_000;

export function createHttp(options: HttpOptions = {}): Http {
  const { deadlineMs = DEADLINE_MS, attempts = ATTEMPTS, userAgent = 'gpu-handlers' } = options;
  const { connectionsPerHost = CONNECTIONS_PER_HOST, concurrency = CONCURRENCY } = options;
  const { allowPrivateHosts = false, resolveName } = options;
  const guard = createGuard({ allowPrivateHosts, resolveName });
  const slots = createHostSlots(concurrency, connectionsPerHost);
  const agent = new Agent({
    connections: connectionsPerHost,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    bodyTimeout: options.bodyTimeoutMs ?? BODY_TIMEOUT_MS,
    connect: { timeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS, lookup: guard.lookup },
  });

  const follow = createFollow({ agent, guard, slots });

  return {
    async get(address, { maxBytes, signal, headers = {}, onRetry }) {
      signal?.throwIfAborted();
      const url = parseUrl(address);
      const own = requestHeaders(headers, userAgent);
      using deadline = timeLimit(deadlineMs, signal, () => {
        const message = `GET ${shownUrl(url)} took longer than ${String(deadlineMs)} ms in all`;
        return new HttpError('timeout', message, { retryable: true });
      });
      const { signal: ended } = deadline;
      const exchange: Exchange<HttpResponse> = {
        method: 'GET',
        headers: own,
        signal: ended,
        take: (answer) => readAnswer(answer, maxBytes, ended),
      };
      return await retry(() => follow(url, exchange), {
        attempts,
        signal: ended,
        deadlineMs,
        onRetry: () => onRetry?.(),
      });
    },
    stream: (address, streaming, read) => streamBody(follow, address, { ...streaming, userAgent }, read),
    post: (address, posting) => postJson(follow, address, { ...posting, userAgent }),
    close: () => agent.destroy(),
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

async function readAnswer(
  { status, headers, url, body }: Answer,
  maxBytes: number,
  signal: AbortSignal,
): Promise<HttpResponse> {
  try {
    return { status, headers, body: await readBody(body, headers, url, maxBytes), url: url.href };
  } catch (error) {
    signal.throwIfAborted();
    throw translateError(error, url);
  }
}
