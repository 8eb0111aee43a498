import { z } from 'zod';

import { HttpError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { shapeOf } from '../base/parse-input.ts';
import type { DirectAnswer, DirectHttp } from '../http/direct.ts';
import { retryAfterOf } from '../http/retry-after.ts';
import { retry, type RetryOptions } from '../flow/retry.ts';
import { abortable } from '../flow/time.ts';
import type { Delivery, Platform, Posting, TakenJob } from './platform.ts';
import { postHeaders, takeHeaders, type Addresses } from './protocol.ts';

/** The calls of the worker's protocol, one method each. */
export type ProtocolClient = Pick<Platform, 'take' | 'stops' | 'done' | 'progress' | 'stream' | 'unhealthy'>;

/** As the platform's own runtime has it; a poll that lasts is no failure. */
const TAKE_TIMEOUT_MS = 90_000;
/** A full 20 MB over a slow line. */
const POST_TIMEOUT_MS = 60_000;
const PING_TIMEOUT_MS = 10_000;
const PROGRESS_TIMEOUT_MS = 10_000;
/** How long the platform wants to be left alone when it says that it is asked too often. */
const TOO_MANY_WAIT_MS = 5_000;
const POST_BASE_DELAY_MS = 200;
const POST_MAX_DELAY_MS = 10_000;

const JOB = z.looseObject({
  id: z.string().min(1),
  input: z.unknown().optional(),
  policy: z
    .looseObject({ executionTimeout: z.number().positive().optional().catch(undefined) })
    .optional()
    .catch(undefined),
});
const STOPS = z.looseObject({ jobsToStop: z.array(z.string()).nullish() });

interface ClientOptions {
  http: DirectHttp;
  addresses: Addresses;
  apiKey: string | undefined;
  log: Log;
}

export function createProtocolClient({ http, addresses, apiKey, log }: ClientOptions): ProtocolClient {
  const post = async (
    url: string,
    { jobId, body, signal }: Posting,
    timeoutMs = POST_TIMEOUT_MS,
  ): Promise<void> => {
    const headers = postHeaders(apiKey, jobId);
    const answer = await http.request({ method: 'POST', url, headers, body, signal, timeoutMs });
    if (answer.status < 200 || answer.status > 299) throw statusFault('posting a result', answer);
  };
  if (addresses.stops === undefined) {
    log.warn('RUNPOD_WEBHOOK_GET_JOB has no /job-take/ in it: the worker does not hear which jobs to stop');
  }
  const deliver = (url: string, delivery: Delivery): Promise<void> =>
    retry(() => post(url, delivery), patiently(delivery));

  return {
    async take(count, busy, untilAnswer) {
      const url = addresses.take(count, busy);
      const headers = takeHeaders(apiKey);
      const answer = await http.request({
        method: 'GET',
        url,
        headers,
        untilAnswer,
        timeoutMs: TAKE_TIMEOUT_MS,
      });
      if (answer.status === 204 || answer.status === 400) return [];
      if (answer.status !== 200) throw statusFault('taking a job', answer);
      return answer.body.trim() === '' ? [] : jobsOf(parse(z.unknown(), answer.body, 'taking a job'), log);
    },
    async stops(signal) {
      const url = addresses.stops;
      if (url === undefined) return abortable(new Promise<never>(() => undefined), signal);
      const headers = takeHeaders(apiKey);
      const request = { method: 'GET', url, headers, signal } as const;
      const answer = await http.request({ ...request, timeoutMs: TAKE_TIMEOUT_MS });
      if (answer.status === 204) return [];
      if (answer.status !== 200) throw statusFault('asking which jobs to stop', answer);
      if (answer.body.trim() === '') return [];
      return parse(STOPS, answer.body, 'asking which jobs to stop').jobsToStop ?? [];
    },
    done: (delivery) => deliver(addresses.done(delivery.jobId, delivery.isStream), delivery),
    progress: (posting) => post(addresses.done(posting.jobId, false), posting, PROGRESS_TIMEOUT_MS),
    async stream(delivery) {
      if (addresses.stream !== undefined) await deliver(addresses.stream(delivery.jobId), delivery);
    },
    async unhealthy(check, reason) {
      const url = addresses.unhealthy?.(check, reason);
      if (url === undefined) return;
      await retry(async () => {
        const headers = takeHeaders(apiKey);
        const answer = await http.request({ method: 'GET', url, headers, timeoutMs: PING_TIMEOUT_MS });
        if (answer.status > 299) throw statusFault('reporting unhealthy', answer);
      });
    },
  };
}

/** One that is no job takes no other with it. */
function jobsOf(answer: unknown, log: Log): TakenJob[] {
  if (answer === null || answer === undefined) return [];
  return (Array.isArray(answer) ? (answer as unknown[]) : [answer]).flatMap((item) => {
    const job = JOB.safeParse(item);
    if (job.success) return [job.data];
    log.error('The platform handed out something that is no job: it has no id to answer to', {
      found: shapeOf(item),
    });
    return [];
  });
}

function patiently({ patienceMs, signal, onRetry }: Delivery): RetryOptions {
  return {
    attempts: Infinity,
    deadlineMs: patienceMs,
    baseDelayMs: POST_BASE_DELAY_MS,
    maxDelayMs: POST_MAX_DELAY_MS,
    insist: true,
    signal,
    onRetry: (error, delayMs) => {
      if (error instanceof HttpError) onRetry?.(error, delayMs);
    },
  };
}

function statusFault(what: string, { status, headers }: DirectAnswer): HttpError {
  const asked = retryAfterOf(headers);
  const retryAfterMs = status === 429 ? Math.max(asked ?? 0, TOO_MANY_WAIT_MS) : asked;
  return new HttpError(`http_${String(status)}`, `${what} was answered with status ${String(status)}`, {
    status,
    retryable: status >= 500 || status === 408 || status === 425 || status === 429,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** The body may hold a job's secrets: it is in no message. */
function parse<S extends z.ZodType>(schema: S, body: string, what: string): z.output<S> {
  try {
    return schema.parse(JSON.parse(body));
  } catch (error) {
    const shape = error instanceof z.ZodError ? messageOf(error) : 'no JSON';
    throw new HttpError('bad_answer', `${what} was answered with something else: ${shape.slice(0, 200)}`, {
      retryable: true,
    });
  }
}
