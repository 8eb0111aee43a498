import type { Readable } from 'node:stream';

import type { Agent } from 'undici';

import { HttpError } from '../base/errors.ts';
import { discardBody } from './body.ts';
import { shownUrl, statusError, translateError } from './errors.ts';
import type { Guard } from './guard.ts';
import { credentials, headersForStrangers, plainHeaders } from './headers.ts';
import type { HostSlots } from './host-slots.ts';
import { retryAfterOf } from './retry-after.ts';

const MAX_REDIRECTS = 5;
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);

/** An answer whose body is still to come. Its connection and its place are held until the body has been dealt with. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  url: URL;
  body: Readable;
}

/** What holds for every hop. */
export interface Exchange<T> {
  method: 'GET' | 'HEAD' | 'POST';
  /** Sent anew with each hop. */
  body?: string;
  /** Sent to the first origin as they are, to others without what may be a secret. */
  headers: Record<string, string>;
  signal: AbortSignal;
  /** Which answers beside 200 to 299 are no errors. A redirect that is wanted is not followed. */
  wants?: (status: number, from: URL, next: URL | undefined) => boolean;
  /** What becomes of the answer; its errors are passed on as they are. */
  take: (answer: Answer) => Promise<T>;
}

/**
 * Follows up to 5 redirects, each hop checked by the guard and in a place of its own host.
 * @throws HttpError as `Http.get` does; or the signal's reason.
 */
export type Follow = <T>(first: URL, exchange: Exchange<T>) => Promise<T>;

export function createFollow(parts: { agent: Agent; guard: Guard; slots: HostSlots }): Follow {
  const { agent, guard, slots } = parts;

  const ask = async (url: URL, headers: Record<string, string>, exchange: Exchange<unknown>) => {
    guard.checkHost(url.hostname);
    const { method, body: sent = null, signal, wants } = exchange;
    try {
      const {
        statusCode,
        headers: raw,
        body,
      } = await agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: { ...headers, ...credentials(url) },
        body: sent,
        signal,
      });
      // A body that is cut off on purpose says so as an error event; who reads it hears of failures by itself.
      body.on('error', () => undefined);
      const received = plainHeaders(raw);
      const { location } = received;
      const answer: Answer = { status: statusCode, headers: received, url, body };
      const isRedirect = REDIRECT_STATUS.has(statusCode) && location !== undefined;
      const isFine = statusCode >= 200 && statusCode <= 299;
      if (isFine && !isRedirect) return { answer };
      const next = isRedirect ? URL.parse(location, url.href) : null;
      if (wants?.(statusCode, url, next ?? undefined) === true) return { answer };
      await discardBody(body);
      if (isRedirect) return { next: parseUrl(location, url) };
      throw statusError(url, statusCode, retryAfterOf(received), method);
    } catch (error) {
      signal.throwIfAborted();
      throw translateError(error, url, method);
    }
  };

  return async (first, exchange) => {
    let url = first;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
      const from = url;
      const headers = from.origin === first.origin ? exchange.headers : headersForStrangers(exchange.headers);
      const step = await slots.run(from.host, exchange.signal, async () => {
        const { answer, next } = await ask(from, headers, exchange);
        return answer === undefined ? { next } : { taken: await exchange.take(answer) };
      });
      if (!('next' in step)) return step.taken;
      url = step.next;
    }
    throw new HttpError(
      'too_many_redirects',
      `GET ${shownUrl(first)} was redirected more than ${String(MAX_REDIRECTS)} times`,
    );
  };
}

/** @throws HttpError `invalid_url` for what is no http or https address. */
export function parseUrl(address: string, base?: URL): URL {
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
