import { HttpError, isError } from '../base/errors.ts';

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

/** Faults that stay: a certificate that is wrong, a client that was closed. */
const LASTING_CODE =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|UND_ERR_(?:DESTROYED|CLOSED|INVALID_ARG)$)/;

/** The address as it may be shown: without user, password, query and fragment. */
export function shownUrl(url: URL): string {
  const text = `${url.protocol}//${url.host}${url.pathname}`;
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}...` : text;
}

/** What an answer other than 2xx is: `http_<status>`. */
export function statusError(url: URL, status: number, retryAfterMs: number | undefined): HttpError {
  return new HttpError(
    `http_${String(status)}`,
    `GET ${shownUrl(url)} was answered with status ${String(status)}`,
    {
      status,
      retryable: RETRYABLE_STATUS.has(status),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  );
}

/** An error of undici, a socket or a resolver as ours. Its own message is left out: it may show the address. */
export function translateError(error: unknown, url: URL): HttpError {
  const codes: string[] = [];
  for (let e: unknown = error; isError(e) && codes.length < 8; e = e.cause) {
    if (e instanceof HttpError) return e;
    if ('code' in e && typeof e.code === 'string') codes.push(e.code);
  }
  const [code = isError(error) ? error.name : 'unknown'] = codes;
  if (codes.some((c) => TIMEOUT_CODES.has(c))) {
    return new HttpError('timeout', `GET ${shownUrl(url)} timed out (${code})`, { retryable: true });
  }
  const lasting = codes.some((c) => LASTING_CODE.test(c));
  return new HttpError('network', `GET ${shownUrl(url)} failed (${code})`, { retryable: !lasting });
}
