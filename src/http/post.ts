import { retry } from '../flow/retry.ts';
import { timeLimit } from '../flow/time-limit.ts';
import { HttpError } from '../base/errors.ts';
import { discardBody } from './body.ts';
import { shownUrl, statusError } from './errors.ts';
import { parseUrl, type Follow } from './follow.ts';
import { requestHeaders } from './headers.ts';
import { retryAfterOf } from './retry-after.ts';

export interface PostOptions {
  /** Sent as JSON. */
  json: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** For one try. */
  timeoutMs: number;
  /** Tries in all, the first included. */
  attempts: number;
}

/**
 * Posts, and again while what went wrong may pass: for calls that may well arrive twice. A redirect is an error: what is
 * posted is for the address that was named. The answer's body is of no interest.
 * @throws HttpError as `Http.get` does; or the signal's reason.
 */
export async function postJson(
  follow: Follow,
  address: string,
  { json, headers = {}, signal, timeoutMs, attempts, userAgent }: PostOptions & { userAgent: string },
): Promise<void> {
  const url = parseUrl(address);
  const body = JSON.stringify(json);
  const own = requestHeaders({ ...headers, 'content-type': 'application/json' }, userAgent);
  await retry(
    async () => {
      using limit = timeLimit(timeoutMs, signal, () => {
        const message = `POST ${shownUrl(url)} took longer than ${String(timeoutMs)} ms`;
        return new HttpError('timeout', message, { retryable: true });
      });
      await follow(url, {
        method: 'POST',
        headers: own,
        body,
        signal: limit.signal,
        wants: (_status, _from, next) => next !== undefined,
        take: async (answer) => {
          await discardBody(answer.body);
          if (answer.status < 300) return;
          throw statusError(url, answer.status, retryAfterOf(answer.headers), 'POST');
        },
      });
    },
    { attempts, signal },
  );
}
