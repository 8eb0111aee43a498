import { isError, StoreError, type HandlerErrorOptions } from '../base/errors.ts';
import { parseRetryAfter, type Answer } from './answer-watch.ts';

/** What was attempted, for a message: `upserting 256 points into "products"`. */
export interface Attempt {
  what: string;
  /** Where, without key or password. */
  where: string;
  apiKey: string | undefined;
}

/** Longer texts of the server are cut: a message is for reading. */
const MAX_DETAIL_CHARS = 500;

/** An error of this store, with the api key taken out of the text wherever a server or a library put it. */
export function storeError(
  code: string,
  text: string,
  options: HandlerErrorOptions & { status?: number; apiKey?: string | undefined } = {},
): StoreError {
  const { apiKey, ...rest } = options;
  const clean = apiKey === undefined || apiKey === '' ? text : text.replaceAll(apiKey, '[redacted]');
  return new StoreError('qdrant', code, clean, rest);
}

/** What the client threw, as a StoreError with a code, whether a retry could help, and how long to wait. */
export function translate(thrown: unknown, attempt: Attempt, answer: Answer): StoreError {
  if (thrown instanceof StoreError) return thrown;
  const { apiKey } = attempt;
  const begin = `${attempt.what} at ${attempt.where}`;
  const status = answer.status ?? statusOf(thrown);
  if (status !== undefined && status >= 400) {
    return fromStatus(status, `${begin}: Qdrant answered ${String(status)}${detailOf(thrown)}`, {
      apiKey,
      retryAfterMs: parseRetryAfter(answer.retryAfter),
    });
  }
  if (isConnectionFault(thrown)) {
    const why = rootMessage(thrown);
    return storeError('qdrant_unreachable', `${begin}: no answer (${why}); is the address right?`, {
      retryable: true,
      cause: thrown,
      apiKey,
    });
  }
  // An answer that is cut or is not Qdrant's: a proxy in between says such things while it restarts.
  return storeError('qdrant_unavailable', `${begin}: the answer is not Qdrant's (${rootMessage(thrown)})`, {
    retryable: status !== undefined,
    cause: thrown,
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
  if (status !== 429 && status < 500) return storeError('qdrant_rejected', message, base);
  const wait = options.retryAfterMs === undefined ? {} : { retryAfterMs: options.retryAfterMs };
  return storeError('qdrant_unavailable', message, { ...base, ...wait, retryable: true });
}

/** The client's errors of bad answers carry status and body; they are known by shape, as their class is not exported. */
function statusOf(thrown: unknown): number | undefined {
  return isError(thrown) && 'status' in thrown && typeof thrown.status === 'number'
    ? thrown.status
    : undefined;
}

/** Qdrant's own words: `{status: {error}}`, or the text of whoever answered in its place. */
function detailOf(thrown: unknown): string {
  if (!isError(thrown) || !('data' in thrown)) return '';
  const { data } = thrown;
  const status = isRecord(data) ? data.status : undefined;
  const words = isRecord(status) ? status.error : data;
  const text = typeof words === 'string' ? words : JSON.stringify(words ?? '');
  return text === '' ? '' : `: ${text.slice(0, MAX_DETAIL_CHARS)}`;
}

/** fetch says `fetch failed` or `terminated`, with the socket's error as the cause. */
function isConnectionFault(thrown: unknown): boolean {
  return (
    isError(thrown) && thrown.name === 'TypeError' && /fetch failed|terminated|network/i.test(thrown.message)
  );
}

function rootMessage(thrown: unknown): string {
  let at = thrown;
  while (isError(at) && isError(at.cause)) at = at.cause;
  if (!isError(at)) return String(at);
  // A failed connection to several addresses has an empty message, and the reason in its code.
  return at.message === '' && 'code' in at ? String(at.code) : at.message;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
