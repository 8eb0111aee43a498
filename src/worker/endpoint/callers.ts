import { createHash, timingSafeEqual } from 'node:crypto';

import type { MiddlewareHandler } from 'hono';

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host) || host === '::1';
}

/** Lets through whoever has the key: `Bearer KEY`, or the key alone, as the service takes both. */
export function onlyWithKey(key: string): MiddlewareHandler {
  const expected = digest(key);
  return async (c, next) => {
    const given = (c.req.header('authorization') ?? '').replace(/^bearer\s+/i, '');
    if (timingSafeEqual(digest(given), expected)) return next();
    return c.json({ error: 'the key is missing or wrong: send Authorization: Bearer KEY' }, 401);
  };
}

/**
 * Where no key is asked for, a web page that is open on this machine could submit jobs: its requests carry an `Origin`
 * that is not this endpoint, or come under a name of their own that leads to a loopback address.
 */
export function noForeignPages(boundToLoopback: boolean): MiddlewareHandler {
  return async (c, next) => {
    const host = c.req.header('host') ?? '';
    const origin = c.req.header('origin');
    const foreign = origin !== undefined && origin !== `http://${host}`;
    const renamed = boundToLoopback && !LOOPBACK.test(host.replace(/:\d+$/, ''));
    if (!foreign && !renamed) return next();
    return c.json(
      { error: 'requests of web pages are not taken: set LOCAL_ENDPOINT_KEY to allow them' },
      403,
    );
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
