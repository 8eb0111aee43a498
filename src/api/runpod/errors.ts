import { z } from 'zod';

import { isError, RunPodError } from '../../base/errors.ts';
import { withoutSecret } from '../../base/redact.ts';
import { codesOf, isLasting, neverConnected } from '../../http/causes.ts';
import { parseRetryAfter } from '../../http/retry-after.ts';

/** What was attempted, for the error: `submitting a job to endpoint abc`. */
export interface Attempted {
  what: string;
  /** May the same request be made twice? Otherwise it is retryable only where it cannot have arrived. */
  repeatable: boolean;
  /** Taken out of whatever the other side says. */
  apiKey: string;
}

/** What the SDK throws for an answer that is no success. */
const REFUSAL = z.object({
  response: z.object({
    status: z.number(),
    data: z.unknown(),
    headers: z.unknown(),
  }),
});
const WORDS = z.union([
  z.object({ error: z.string() }).transform(({ error }) => error),
  z.object({ detail: z.string() }).transform(({ detail }) => detail),
  z.object({ message: z.string() }).transform(({ message }) => message),
]);

const MAX_WORDS_CHARS = 300;

/**
 * What the SDK threw, as ours. There is no cause: the SDK's errors hold the request's headers, and with them the key.
 */
export function toRunPodError(thrown: unknown, attempted: Attempted): RunPodError {
  if (thrown instanceof RunPodError) return thrown;
  const { what, repeatable, apiKey } = attempted;
  const refusal = REFUSAL.safeParse(thrown);
  if (refusal.success) {
    const { status, data, headers } = refusal.data.response;
    const words = WORDS.safeParse(data);
    const said = words.success ? `: ${withoutSecret(words.data, apiKey).slice(0, MAX_WORDS_CHARS)}` : '';
    const retryAfter = headers instanceof Headers ? headers.get('retry-after') : null;
    return fromStatus(status, `${what}: RunPod answered ${status}${said}`, repeatable, retryAfter);
  }
  if (isError(thrown) && /^timeout of \d+ms exceeded$/.test(thrown.message)) {
    return new RunPodError('runpod_timeout', `${what}: no answer in time`, { retryable: repeatable });
  }
  const code = codesOf(thrown).at(0) ?? 'the connection failed';
  const retryable = !isLasting(thrown) && (repeatable || neverConnected(thrown));
  return new RunPodError('runpod_unreachable', `${what}: ${code}`, { retryable });
}

function fromStatus(
  status: number,
  message: string,
  repeatable: boolean,
  retryAfter: string | null,
): RunPodError {
  const error = (code: string, advice: string, retryable: boolean): RunPodError => {
    const retryAfterMs = parseRetryAfter(retryAfter ?? undefined);
    return new RunPodError(code, `${message}${advice}`, {
      status,
      retryable,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  };
  if (status === 401 || status === 403) return error('runpod_unauthorized', '; check RUNPOD_API_KEY', false);
  if (status === 404) return error('runpod_not_found', '', false);
  if (status === 429) return error('runpod_busy', '', true);
  if (status >= 500) return error('runpod_unavailable', '', repeatable);
  return error('runpod_rejected', '', false);
}
