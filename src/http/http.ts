import { Agent } from 'undici';

import { HttpError } from '../base/errors.ts';
import { retry } from '../flow/retry.ts';
import { discardBody, readBody } from './body.ts';
import { createDeadline } from './deadline.ts';
import { shownUrl, statusError, translateError } from './errors.ts';
import { createGuard, type ResolveName } from './guard.ts';
import { credentials, headersForStrangers, plainHeaders, requestHeaders } from './headers.ts';
import { createHostSlots } from './host-slots.ts';
import { parseRetryAfter } from './retry-after.ts';

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
}

/** The one way out. */
export interface Http {
  /**
   * Gets the whole body; follows up to 5 redirects, each checked as the first address is; tries again what may pass.
   * @throws HttpError `http_<status>`, `timeout`, `network`, `too_large`, `blocked_address`, `invalid_url`,
   * `too_many_redirects`, `unsupported_encoding`; or the signal's reason.
   */
  get(url: string, options: GetOptions): Promise<HttpResponse>;
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
const MAX_REDIRECTS = 5;
/** Longer than undici's 4 s, so that a pause between two batches keeps the connections. */
const KEEP_ALIVE_MS = 15_000;
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);

/** What holds for every hop of one `get`. */
interface Limits {
  maxBytes: number;
  signal: AbortSignal;
}

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

  /** One request: a response, or the address to go on to. */
  const visit = async (
    url: URL,
    headers: Record<string, string>,
    get: Limits,
  ): Promise<HttpResponse | URL> => {
    guard.checkHost(url.hostname);
    try {
      const answer = await agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: 'GET',
        headers: { ...headers, ...credentials(url) },
        signal: get.signal,
      });
      // A body that is cut off on purpose says so as an error event; who reads it hears of failures by itself.
      answer.body.on('error', () => undefined);
      const received = plainHeaders(answer.headers);
      const { location } = received;
      if (REDIRECT_STATUS.has(answer.statusCode) && location !== undefined) {
        await discardBody(answer.body);
        return parseUrl(location, url);
      }
      if (answer.statusCode < 200 || answer.statusCode > 299) {
        await discardBody(answer.body);
        throw statusError(url, answer.statusCode, parseRetryAfter(received['retry-after']));
      }
      const body = await readBody(answer.body, received, url, get.maxBytes);
      return { status: answer.statusCode, headers: received, body, url: url.href };
    } catch (error) {
      get.signal.throwIfAborted();
      throw translateError(error, url);
    }
  };

  const follow = async (first: URL, own: Record<string, string>, get: Limits): Promise<HttpResponse> => {
    let url = first;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const headers = url.origin === first.origin ? own : headersForStrangers(own);
      const from = url;
      const next = await slots.run(url.host, get.signal, () => visit(from, headers, get));
      if (!(next instanceof URL)) return next;
      url = next;
    }
    throw new HttpError(
      'too_many_redirects',
      `GET ${shownUrl(first)} was redirected more than ${String(MAX_REDIRECTS)} times`,
    );
  };

  return {
    async get(address, { maxBytes, signal, headers = {} }) {
      signal?.throwIfAborted();
      const url = parseUrl(address);
      const own = requestHeaders(headers, userAgent);
      const deadline = createDeadline(signal, deadlineMs, () => {
        const message = `GET ${shownUrl(url)} took longer than ${String(deadlineMs)} ms in all`;
        return new HttpError('timeout', message, { retryable: true });
      });
      try {
        const get = { maxBytes, signal: deadline.signal };
        return await retry(() => follow(url, own, get), { attempts, signal: deadline.signal, deadlineMs });
      } finally {
        deadline.clear();
      }
    },
    close: () => agent.destroy(),
    [Symbol.asyncDispose]: () => agent.destroy(),
  };
}

function parseUrl(address: string, base?: URL): URL {
  const url = URL.parse(address, base?.href);
  if (url === null) throw new HttpError('invalid_url', 'the address is not a url');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new HttpError(
      'invalid_url',
      `an address must begin with http: or https:, not ${url.protocol.slice(0, 20)}`,
    );
  }
  return url;
}
