import type { Context, MiddlewareHandler } from 'hono';

import { HandlerError } from '../../base/errors.ts';
import type { Callers } from './callers.ts';
import type { RateLimit } from './rate-limit.ts';
import type { Route } from './route.ts';
import type { ApiEnv } from './trace.ts';

export interface GuardOptions {
  callers: Callers;
  rate: RateLimit;
  /** Where a request came from, as far as that is known. */
  addressOf: (c: Context) => string;
}

/** Lets through who may ask, as often as they may; before anything of a body is read. */
export function guard(
  { isOpen, isProbe }: Pick<Route, 'isOpen' | 'isProbe'>,
  { callers, rate, addressOf }: GuardOptions,
): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const caller = callers.of(c.req.header('authorization'));
    c.set('caller', caller?.id);
    if (isProbe) return next();
    const { allowed, remaining, resetSeconds } = rate.take(caller?.id ?? `address ${addressOf(c)}`);
    c.header('ratelimit-limit', String(rate.perMinute));
    c.header('ratelimit-remaining', String(remaining));
    c.header('ratelimit-reset', String(resetSeconds));
    if (!allowed) {
      const message = `more than ${rate.perMinute} requests a minute; try again in ${resetSeconds} s`;
      throw new HandlerError('rate_limited', message, { retryAfterMs: resetSeconds * 1_000 });
    }
    if (caller === undefined && !isOpen)
      throw new HandlerError('unauthorized', 'send Authorization: Bearer KEY, with one of API_KEYS');
    await next();
  };
}
