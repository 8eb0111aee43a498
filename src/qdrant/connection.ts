import { QdrantClient } from '@qdrant/js-client-rest';

import { retry, STORE_PATIENCE_MS, storeRetry, type RetryOptions } from '../flow/retry.ts';
import { timeLimit } from '../flow/time-limit.ts';
import { parseQdrantAddress } from './address.ts';
import { watchAnswer } from './answer-watch.ts';
import { storeError, translate } from './errors.ts';

/** The client's calls, one for each operation of Qdrant's OpenAPI description. They take a signal; its methods don't. */
type QdrantApi = ReturnType<QdrantClient['api']>;

export interface Connection {
  /**
   * One call, tried again while its error says so: everything this package asks of Qdrant is idempotent.
   * @throws StoreError, or the signal's reason
   */
  call<T>(
    what: string,
    send: (api: QdrantApi, init: RequestInit) => Promise<{ data: { result?: T } }>,
    signal: AbortSignal | undefined,
  ): Promise<NonNullable<T>>;
}

export interface ConnectionOptions {
  /** Without a port: 6333. A path is kept as a prefix. */
  url: string;
  apiKey?: string | undefined;
  /** For one try of one request. */
  timeoutMs?: number | undefined;
  /** How long a call is tried again, from its first try on, while its error says so. */
  patienceMs?: number | undefined;
  /** Told of each try that failed and is not the last. */
  onRetry?: RetryOptions['onRetry'];
}

/** A 256-point upsert takes well under a second; what takes this long is lost. */
const QDRANT_TIMEOUT_MS = 30_000;

/** Upserts, reads and counts of one job at once; the client's default of 25 is for servers. */
const MAX_CONNECTIONS = 8;

/** What an HTTP header can carry: visible ASCII. Checked here, because fetch's own error would quote the key. */
const HEADER_VALUE = /^[\x21-\x7e]+$/;

/** @throws StoreError `qdrant_rejected` for an address, `qdrant_unauthorized` for a key that no request can carry */
export function connect(options: ConnectionOptions): Connection {
  const { apiKey, timeoutMs = QDRANT_TIMEOUT_MS, patienceMs = STORE_PATIENCE_MS, onRetry } = options;
  const { origin, port, prefix } = parseQdrantAddress(options.url);
  if (apiKey !== undefined && !HEADER_VALUE.test(apiKey)) {
    throw storeError('qdrant_unauthorized', 'the api key of Qdrant has characters that no header can carry');
  }
  const client = new QdrantClient({
    url: origin,
    port,
    prefix,
    // As a plain header: the client's own option prints a warning for http addresses.
    ...(apiKey === undefined ? {} : { headers: { 'api-key': apiKey } }),
    // The client's timer would replace our signal; its check of versions prints to the console.
    timeout: Infinity,
    checkCompatibility: false,
    maxConnections: MAX_CONNECTIONS,
  });
  const api = client.api();
  const where = `${origin}:${String(port)}${prefix}`;

  const attempt = async <T>(
    what: string,
    send: (api: QdrantApi, init: RequestInit) => Promise<{ data: { result?: T } }>,
    signal: AbortSignal | undefined,
  ): Promise<NonNullable<T>> => {
    using watch = watchAnswer();
    using limit = timeLimit(timeoutMs, signal);
    try {
      const response = await send(api, { signal: limit.signal, headers: watch.header });
      const { result } = response.data;
      if (result === undefined || result === null) throw new Error('it has no result');
      return result;
    } catch (error) {
      signal?.throwIfAborted();
      if (limit.expired()) {
        const text = `${what} at ${where}: no answer within ${String(timeoutMs)} ms`;
        throw storeError('qdrant_timeout', text, { retryable: true });
      }
      throw translate(error, { what, where, apiKey }, watch.answer);
    }
  };

  return {
    call: (what, send, signal) =>
      retry(() => attempt(what, send, signal), {
        ...storeRetry(patienceMs, signal),
        ...(onRetry === undefined ? {} : { onRetry }),
      }),
  };
}
