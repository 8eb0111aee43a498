import { isError } from '../base/errors.ts';

/** Deep enough for fetch, its socket and a resolver; an end for causes that go in a circle. */
const MAX_DEPTH = 8;

/** Faults that stay: a certificate that is wrong, an address that is none, a client that was closed. */
const LASTING_CODE =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|ERR_INVALID_URL$|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|UND_ERR_(?:DESTROYED|CLOSED|INVALID_ARG)$)/;

/** fetch's only word for a port of its list of those that it never speaks to. */
const BAD_PORT = 'bad port';

/** An error and what caused it, outermost first. */
export function causesOf(thrown: unknown): Error[] {
  const errors: Error[] = [];
  for (let at = thrown; isError(at) && errors.length < MAX_DEPTH; at = at.cause) errors.push(at);
  return errors;
}

/** The codes of an error and its causes, outermost first: `ECONNREFUSED`, `UND_ERR_SOCKET`. */
export function codesOf(thrown: unknown): string[] {
  return causesOf(thrown).flatMap((error) =>
    'code' in error && typeof error.code === 'string' ? [error.code] : [],
  );
}

/** Does the error say something that another try would not change? */
export function isLasting(thrown: unknown): boolean {
  return codesOf(thrown).some((code) => LASTING_CODE.test(code)) || rootMessage(thrown) === BAD_PORT;
}

/** What says that no connection came about: nothing of the request can have arrived. */
const NEVER_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

export function neverConnected(thrown: unknown): boolean {
  const code = codesOf(thrown).at(0);
  return code !== undefined && NEVER_CONNECTED.has(code);
}

/** What lies at the bottom of an error. It may hold an address or a header: whoever shows it cleans it. */
export function rootMessage(thrown: unknown): string {
  const root = causesOf(thrown).at(-1);
  if (root === undefined) return String(thrown);
  // A failed connection to several addresses has an empty message, and the reason in its code.
  return root.message === '' && 'code' in root ? String(root.code) : root.message;
}

/** fetch says `fetch failed` or `terminated`, with the socket's error as the cause; what it refuses it names. */
export function isConnectionFault(thrown: unknown): boolean {
  return (
    isError(thrown) && thrown.name === 'TypeError' && /fetch failed|terminated|network/i.test(thrown.message)
  );
}
