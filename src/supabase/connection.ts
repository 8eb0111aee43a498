import { createClient } from '@supabase/supabase-js';

import { messageOf, StoreError } from '../base/errors.ts';
import { retry, storeRetry } from '../flow/retry.ts';
import { timeLimit } from '../flow/time-limit.ts';
import { parseRetryAfter } from '../http/retry-after.ts';
import { toStoreError, type Outcome, type Refusal, type Repeat } from './errors.ts';

export interface ConnectionOptions {
  url: string;
  key: string;
  timeoutMs: number;
  patienceMs: number;
  onRetry: () => void;
  fetch: typeof fetch;
}

/** What supabase-js resolves to, of a table, a function or storage. */
export interface Answer<T> {
  data: T | null;
  error: Refusal | null;
  count?: number | null;
}

type Client = ReturnType<typeof clientFor>;

interface Request<T> {
  /** What is attempted, on what, for the error message: `reading products`. */
  what: string;
  repeat: Repeat;
  signal: AbortSignal | undefined;
  /** Where the connection's own would be too short. */
  timeoutMs?: number;
  send: (client: Client) => PromiseLike<Answer<T>>;
}

export interface Connection {
  /** Sends, with a time-out for each attempt, and again where that is safe. Every error is thrown, as a StoreError. */
  request<T>(request: Request<T>): Promise<{ data: T | null; count: number | null }>;
}

/** What a header can carry: visible ASCII. Checked here, because fetch's own error would quote the key. */
const HEADER_VALUE = /^[\x21-\x7e]+$/;

/** Bodies of these statuses must be null. */
const NULL_BODY_STATUS = new Set([204, 205, 304]);

export function openConnection(options: ConnectionOptions): Connection {
  return {
    request: (request) =>
      retry(() => attempt(options, request), {
        ...storeRetry(options.patienceMs, request.signal),
        onRetry: options.onRetry,
      }),
  };
}

async function attempt<T>(options: ConnectionOptions, request: Request<T>) {
  const { what, repeat, signal, send, timeoutMs = options.timeoutMs } = request;
  const outcome: Outcome = {
    status: undefined,
    retryAfterMs: undefined,
    failure: undefined,
    timedOut: false,
  };
  using limit = timeLimit(timeoutMs, signal);

  // supabase-js turns whatever fetch throws into text, and reads bodies where no time-out of ours would be seen. So
  // the whole exchange happens here, and what came of it is kept.
  const exchange: typeof fetch = async (input, init) => {
    try {
      const response = await options.fetch(input, { ...init, signal: limit.signal });
      const body = NULL_BODY_STATUS.has(response.status) ? null : await response.arrayBuffer();
      outcome.status = response.status;
      outcome.retryAfterMs = parseRetryAfter(response.headers.get('retry-after') ?? undefined);
      const { status, statusText, headers } = response;
      return new Response(body, { status, statusText, headers });
    } catch (error) {
      outcome.failure = error;
      outcome.timedOut = limit.expired();
      throw error;
    }
  };

  const { data, error, count } = await send(clientFor(options, exchange)).then(null, notUnderstood);
  if (error === null) return { data, count: count ?? null };
  signal?.throwIfAborted();
  throw toStoreError({ what, repeat, key: options.key }, outcome, error);
}

/** Where the answer is not what it expects, supabase-js stumbles rather than says so. */
function notUnderstood(thrown: unknown): Answer<never> {
  return { data: null, error: { message: `the answer is not Supabase's (${messageOf(thrown)})` } };
}

/**
 * A client for one attempt: nothing in supabase-js takes a signal for storage, so the signal comes in with fetch. It
 * costs an eighth of a millisecond, as sessions, token refresh and its own retries are off.
 */
function clientFor(options: ConnectionOptions, exchange: typeof fetch) {
  const { url, key } = options;
  if (!HEADER_VALUE.test(key)) {
    const message = 'the service role key has characters that no header can carry';
    throw new StoreError('supabase', 'supabase_unauthorized', message);
  }
  try {
    return createClient(url, key, {
      accessToken: () => Promise.resolve(key),
      db: { retry: false },
      global: { fetch: exchange },
    });
  } catch {
    // What it says quotes the address.
    throw new StoreError('supabase', 'supabase_rejected', 'the Supabase address is malformed');
  }
}
