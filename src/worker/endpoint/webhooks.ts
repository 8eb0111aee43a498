import { HttpError, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { abortable } from '../../flow/time.ts';
import { retry } from '../../flow/retry.ts';
import type { DirectHttp } from '../../http/direct.ts';
import { USER_AGENT } from '../protocol.ts';

interface Call {
  url: string;
  jobId: string;
  /** JSON. */
  body: string;
}

/** Tells addresses which jobs named of their results: until 200, and three times at most. */
export interface Webhooks {
  /** Never throws, never waits. */
  call(call: Call): void;
  /** Resolves when nothing is under way, or gives up what still is after so long. */
  close(withinMs: number): Promise<void>;
}

export interface WebhookOptions {
  http: DirectHttp;
  /** Between two calls. */
  retryMs: number;
  log: Log;
}

/** Calls in all, the first included. */
const CALLS = 3;
const CALL_TIMEOUT_MS = 10_000;

export function createWebhooks({ http, retryMs, log }: WebhookOptions): Webhooks {
  const underWay = new Set<Promise<void>>();
  const ended = new AbortController();

  const post = async ({ url, body }: Call): Promise<void> => {
    const headers = { 'content-type': 'application/json', 'user-agent': USER_AGENT };
    const request = { method: 'POST', url, headers, body, timeoutMs: CALL_TIMEOUT_MS } as const;
    const { status } = await http.request({ ...request, signal: ended.signal }).catch((error: unknown) => {
      throw error instanceof HttpError ? again(error.message) : error;
    });
    if (status !== 200) throw again(`the webhook was answered with status ${status} instead of 200`);
  };
  /** As the service does it: whatever the reason was, and after the same pause. */
  const again = (message: string): HttpError =>
    new HttpError('webhook_not_taken', message, { retryable: true, retryAfterMs: retryMs });

  const tell = async (call: Call): Promise<void> => {
    const shown = { requestId: call.jobId };
    try {
      await retry(() => post(call), {
        attempts: CALLS,
        baseDelayMs: 0,
        signal: ended.signal,
        onRetry: (error) => log.warn('A webhook is called again', { ...shown, reason: error.message }),
      });
      log.info('Webhook called', shown);
    } catch (error) {
      log.error('A webhook was not told of its job', { ...shown, reason: messageOf(error) });
    }
  };

  return {
    call(call) {
      const telling = tell(call).then(() => void underWay.delete(telling));
      underWay.add(telling);
    },
    async close(withinMs) {
      const limit = AbortSignal.timeout(withinMs);
      await abortable(Promise.all(underWay), limit).catch(() => undefined);
      ended.abort(new HttpError('webhook_not_taken', 'the endpoint has ended'));
      await Promise.all(underWay);
    },
  };
}
