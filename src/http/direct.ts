import { Agent } from 'undici';

import { HttpError, isError } from '../base/errors.ts';
import { timeLimit } from '../flow/time-limit.ts';
import { causesOf, codesOf, isLasting } from './causes.ts';
import { shownUrl } from './errors.ts';
import { plainHeaders } from './headers.ts';

interface DirectRequest {
  method: 'GET' | 'POST' | 'PATCH';
  url: string;
  headers: Record<string, string>;
  body?: string | Uint8Array;
  /** For the whole request, its answer's body included. */
  timeoutMs: number;
  /** Ends the request at any time. */
  signal?: AbortSignal | undefined;
  /** Ends it as long as no answer has begun: what has begun to arrive is read to its end. */
  untilAnswer?: AbortSignal | undefined;
}

export interface DirectAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/**
 * Requests to addresses of this program's own configuration: no address guard, no redirects, no second try.
 * For addresses that come from outside there is http.ts.
 */
export interface DirectHttp {
  /** Any status is an answer. @throws HttpError `timeout` or `network`; or the signal's reason. */
  request(request: DirectRequest): Promise<DirectAnswer>;
  /** Ends what is under way and closes all connections. */
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Above the pause between two heartbeats, so that they share a connection. */
const KEEP_ALIVE_MS = 15_000;

export function createDirectHttp(): DirectHttp {
  // The request's own limit holds for headers and body: a long poll is silent for as long as it likes.
  const agent = new Agent({
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_TIMEOUT_MS },
  });
  return {
    async request(request) {
      const url = new URL(request.url);
      const what = `${request.method} ${shownUrl(url)}`;
      using limit = timeLimit(request.timeoutMs, request.signal, () => {
        const message = `${what} took longer than ${String(request.timeoutMs)} ms`;
        return new HttpError('timeout', message, { retryable: true });
      });
      const early = new AbortController();
      const onLimit = (): void => early.abort(limit.signal.reason);
      const onEarly = (): void => early.abort(request.untilAnswer?.reason);
      if (request.untilAnswer?.aborted === true) onEarly();
      if (limit.signal.aborted) onLimit();
      limit.signal.addEventListener('abort', onLimit, { once: true });
      request.untilAnswer?.addEventListener('abort', onEarly, { once: true });
      try {
        const answer = await agent.request({
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method: request.method,
          headers: request.headers,
          body: request.body ?? null,
          signal: early.signal,
        });
        request.untilAnswer?.removeEventListener('abort', onEarly);
        const body = await answer.body.text();
        return { status: answer.statusCode, headers: plainHeaders(answer.headers), body };
      } catch (error) {
        early.signal.throwIfAborted();
        throw translate(error, what);
      } finally {
        limit.signal.removeEventListener('abort', onLimit);
        request.untilAnswer?.removeEventListener('abort', onEarly);
      }
    },
    close: () => agent.destroy(),
  };
}

/** Its own message is left out: it may show the address. */
function translate(error: unknown, what: string): HttpError {
  const ours = causesOf(error).find((cause) => cause instanceof HttpError);
  if (ours !== undefined) return ours;
  const [code = isError(error) ? error.name : 'unknown'] = codesOf(error);
  return new HttpError('network', `${what} failed (${code})`, { retryable: !isLasting(error) });
}
