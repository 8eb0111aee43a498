import { randomUUID } from 'node:crypto';

import type { Context, MiddlewareHandler } from 'hono';

import { toHandlerError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { problemOf, PROBLEM_TYPE } from './problem.ts';

/** What is known of a request while it is answered. */
export interface ApiEnv {
  Variables: { requestId: string; caller: string | undefined };
}

export interface TraceOptions {
  log: Log;
  metrics: Pick<Metrics, 'request'>;
}

/** An id that a client may choose, so that its log and ours meet. */
const GIVEN_ID = /^[\w.-]{1,64}$/;

/** Gives each request its id, and tells of its end: a line, and a number. `operation` is never what was asked for. */
export function trace(
  operation: string,
  { log, metrics }: TraceOptions,
  level: 'info' | 'debug' = 'info',
): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const begun = performance.now();
    const given = c.req.header('x-request-id') ?? '';
    const requestId = GIVEN_ID.test(given) ? given : randomUUID();
    c.set('requestId', requestId);
    await next();
    c.header('x-request-id', requestId);
    const seconds = (performance.now() - begun) / 1_000;
    metrics.request(operation, c.res.status, seconds);
    const shown = { requestId, operation, method: c.req.method, status: c.res.status };
    log[level]('Request answered', { ...shown, caller: c.get('caller'), ms: Math.round(seconds * 1_000) });
  };
}

/** The answer to an error. What nobody foresaw is logged, with all that is known of it. */
export function answerProblem(c: Context<ApiEnv>, thrown: unknown, log: Log): Response {
  const requestId = c.get('requestId');
  const error = toHandlerError(thrown);
  const problem = problemOf(error, requestId);
  if (c.req.raw.signal.aborted) log.debug('The client has left', { requestId });
  else if (problem.status >= 500) log.error('A request failed', { requestId, error });
  const retryAfter = error.retryAfterMs === undefined ? undefined : Math.ceil(error.retryAfterMs / 1_000);
  if (problem.status === 503 || retryAfter !== undefined)
    c.header('retry-after', String(retryAfter ?? AGAIN_SECONDS));
  if (problem.status === 401) c.header('www-authenticate', 'Bearer');
  return c.body(JSON.stringify(problem), problem.status as 400, { 'content-type': PROBLEM_TYPE });
}

/** Where something does not answer and has not said when it will. */
const AGAIN_SECONDS = 5;
