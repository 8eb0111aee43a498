import { HttpError, isError } from '../base/errors.ts';
import { causesOf, codesOf, isLasting } from './causes.ts';

/** Longer addresses are cut in messages: some carry whole documents. */
const MAX_SHOWN_CHARS = 200;

/** Time-outs and other moments at which the same request, made later, may well succeed. */
const RETRYABLE_STATUS = new Set([
  408, 421, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529, 530,
]);

const TIMEOUT_CODES = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
]);

/** The address as it may be shown: without user, password, query and fragment. */
export function shownUrl(url: URL): string {
  const text = `${url.protocol}//${url.host}${url.pathname}`;
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}...` : text;
}

/** What an answer other than 2xx is: `http_<status>`. */
export function statusError(
  url: URL,
  status: number,
  retryAfterMs: number | undefined,
  method = 'GET',
): HttpError {
  return new HttpError(
    `http_${String(status)}`,
    `${method} ${shownUrl(url)} was answered with status ${String(status)}`,
    {
      status,
      retryable: RETRYABLE_STATUS.has(status),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  );
}

/** An error of undici, a socket or a resolver as ours. Its own message is left out: it may show the address. */
export function translateError(error: unknown, url: URL, method = 'GET'): HttpError {
  const ours = causesOf(error).find((cause) => cause instanceof HttpError);
  if (ours !== undefined) return ours;
  const codes = codesOf(error);
  const [code = isError(error) ? error.name : 'unknown'] = codes;
  if (codes.some((c) => TIMEOUT_CODES.has(c))) {
    return new HttpError('timeout', `${method} ${shownUrl(url)} timed out (${code})`, { retryable: true });
  }
  return new HttpError('network', `${method} ${shownUrl(url)} failed (${code})`, {
    retryable: !isLasting(error),
  });
}
