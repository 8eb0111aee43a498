import { isError, StoreError, type HandlerErrorOptions } from '../base/errors.ts';
import { withoutSecret } from '../base/redact.ts';
import { isConnectionFault, isLasting, rootMessage } from '../http/causes.ts';
import { parseRetryAfter } from '../http/retry-after.ts';
import type { Answer } from './answer-watch.ts';

/** What was attempted, for a message: `upserting 256 points into "products"`. */
export interface Attempt {
  what: string;
  /** Where, without key or password. */
  where: string;
  apiKey: string | undefined;
}

/** Longer texts of the server are cut: a message is for reading. */
const MAX_DETAIL_CHARS = 500;

/**
 * An error of this store, with the api key taken out of the text wherever a server or a library put it. It has no
 * cause: the client's errors hold the request's headers or their text, and what they say is in the message.
 */
export function storeError(
  code: string,
  text: string,
  options: Omit<HandlerErrorOptions, 'cause'> & { status?: number; apiKey?: string | undefined } = {},
): StoreError {
  const { apiKey, ...rest } = options;
  return new StoreError('qdrant', code, withoutSecret(text, apiKey), rest);
}

/** What the client threw, as a StoreError with a code, whether a retry could help, and how long to wait. */
export function translate(thrown: unknown, attempt: Attempt, answer: Answer): StoreError {
  if (thrown instanceof StoreError) return thrown;
  const { apiKey } = attempt;
  const begin = `${attempt.what} at ${attempt.where}`;
  const status = answer.status ?? statusOf(thrown);
  if (status !== undefined && status >= 400) {
    return fromStatus(status, `${begin}: Qdrant answered ${String(status)}${detailOf(thrown, apiKey)}`, {
      apiKey,
      retryAfterMs: parseRetryAfter(answer.retryAfter),
    });
  }
  if (isConnectionFault(thrown)) {
    const why = rootMessage(thrown);
    return storeError('qdrant_unreachable', `${begin}: no answer (${why}); is the address right?`, {
      retryable: !isLasting(thrown),
      apiKey,
    });
  }
  // An answer that is cut or is not Qdrant's: a proxy in between says such things while it restarts.
  // A parser's message quotes what it read.
  const why = isError(thrown) && thrown.name === 'SyntaxError' ? 'it is no JSON' : rootMessage(thrown);
  return storeError('qdrant_unavailable', `${begin}: the answer is not Qdrant's (${why})`, {
    retryable: status !== undefined,
    apiKey,
    ...(status === undefined ? {} : { status }),
  });
}

function fromStatus(
  status: number,
  message: string,
  options: { apiKey: string | undefined; retryAfterMs: number | undefined },
): StoreError {
  const base = { status, apiKey: options.apiKey };
  if (status === 401 || status === 403) {
    return storeError('qdrant_unauthorized', `${message}; check the api key`, base);
  }
  if (status === 404) return storeError('qdrant_not_found', message, base);
  if (status === 408) return storeError('qdrant_timeout', message, { ...base, retryable: true });
  if (status !== 429 && status < 500) return storeError(codeOfRefusal(message), message, base);
  const wait = options.retryAfterMs === undefined ? {} : { retryAfterMs: options.retryAfterMs };
  return storeError('qdrant_unavailable', message, { ...base, ...wait, retryable: true });
}

/** Strict mode refuses with one status for everything, and says in words what it is. */
const REFUSALS: readonly [code: string, words: RegExp][] = [
  ['qdrant_index_required', /\bIndex required but not found\b/i],
  ['qdrant_exact_disabled', /\bExact search disabled\b/i],
  ['qdrant_over_limit', /\bLimit exceeded \d+ > \d+/i],
  ['qdrant_full', /\bMax [\w ]+ limit of \S+ reached\b|\bexceeding the configured limit\b/i],
];

function codeOfRefusal(message: string): string {
  return REFUSALS.find(([, words]) => words.test(message))?.[0] ?? 'qdrant_rejected';
}

/** The client's errors of bad answers carry status and body; they are known by shape, as their class is not exported. */
function statusOf(thrown: unknown): number | undefined {
  return isError(thrown) && 'status' in thrown && typeof thrown.status === 'number'
    ? thrown.status
    : undefined;
}

/** Qdrant's own words: `{status: {error}}`, or the text of whoever answered in its place. */
function detailOf(thrown: unknown, apiKey: string | undefined): string {
  if (!isError(thrown) || !('data' in thrown)) return '';
  const { data } = thrown;
  const status = isRecord(data) ? data.status : undefined;
  const words = isRecord(status) ? status.error : data;
  const said = typeof words === 'string' ? words : JSON.stringify(words ?? '');
  // Before it is cut: of a key that lies across the end, a part would be left.
  const text = withoutSecret(said, apiKey);
  return text === '' ? '' : `: ${text.slice(0, MAX_DETAIL_CHARS)}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
