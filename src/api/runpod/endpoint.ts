import runpodSdk, { type EndpointInputPayload } from 'runpod-sdk';
import { z } from 'zod';

import { RunPodError } from '../../base/errors.ts';
import { abortable, sleep } from '../../flow/time.ts';
import { retry, storeRetry } from '../../flow/retry.ts';
import { toRunPodError } from './errors.ts';

const STATES = ['IN_QUEUE', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT'] as const;

/** A job as RunPod tells it, asked for or posted to a webhook. */
export const RUNPOD_JOB = z.object({
  id: z.string().min(1),
  status: z.enum(STATES),
  output: z.unknown().optional(),
  error: z.unknown().optional(),
});
export type RunPodJob = z.infer<typeof RUNPOD_JOB>;

const SUBMITTED = z.object({ id: z.string().min(1) });
const count = z.number().catch(0);
const HEALTH = z.object({
  jobs: z.object({ inQueue: count, inProgress: count }),
  workers: z.object({ idle: count, running: count, initializing: count, throttled: count }).partial(),
});
export type EndpointHealth = z.infer<typeof HEALTH>;

export interface JobSubmission {
  input: Record<string, unknown>;
  /** Called with the result. */
  webhook?: string | undefined;
  /** How long it may run, and from its submission on be there at all; in milliseconds. */
  policy?: { executionTimeout: number; ttl: number } | undefined;
}

/**
 * A serverless endpoint. Each call is tried again while its error is retryable: a submission only where it cannot have
 * arrived. @throws RunPodError (codes in src/api/runpod/errors.ts), or the signal's reason.
 */
export interface Endpoint {
  readonly id: string;
  /** The id that RunPod gives the job. */
  submit(job: JobSubmission, signal?: AbortSignal): Promise<string>;
  /** Undefined where RunPod knows no such job: never, not any more, or purged. */
  status(jobId: string, signal?: AbortSignal): Promise<RunPodJob | undefined>;
  /** As `status`, when the job has ended or so much time has passed. */
  settled(jobId: string, waitMs: number, signal?: AbortSignal): Promise<RunPodJob | undefined>;
  /** False where RunPod knows no such job. */
  cancel(jobId: string, signal?: AbortSignal): Promise<boolean>;
  health(signal?: AbortSignal): Promise<EndpointHealth>;
}

export interface EndpointOptions {
  id: string;
  apiKey: string;
  /** As in `https://api.runpod.ai`. */
  jobsUrl: string;
  /** For one try of one request. */
  timeoutMs?: number;
  /** How long a call is tried again, from its first try on. */
  patienceMs?: number;
}

/**
 * The SDK's own 3 seconds are short for the 10 MB that an input may have. After a connection that failed its timer goes
 * on, and keeps a process that has nothing else to do for so long.
 */
const TIMEOUT_MS = 30_000;
const PATIENCE_MS = 20_000;
/** Between two questions for a job that somebody waits for. */
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 1_000;
/** What the service takes in one submission. */
export const MAX_SUBMISSION_BYTES = 10 * 2 ** 20;

export function connectEndpoint(options: EndpointOptions): Endpoint {
  const { id, apiKey, jobsUrl, timeoutMs = TIMEOUT_MS, patienceMs = PATIENCE_MS } = options;
  const endpoint = runpodSdk(apiKey, { baseUrl: `${jobsUrl.replace(/\/+$/, '')}/v2` }).endpoint(id);
  if (endpoint === null) throw new TypeError('an endpoint needs an id');

  const call = <T>(
    { what, repeatable = true }: { what: string; repeatable?: boolean },
    schema: z.ZodType<T>,
    send: () => Promise<unknown>,
    signal: AbortSignal | undefined,
  ): Promise<T> => {
    const doing = `${what} (endpoint ${id})`;
    return retry(
      async () => {
        try {
          return parseAnswer(schema, await abortable(send(), signal), doing);
        } catch (error) {
          signal?.throwIfAborted();
          throw toRunPodError(error, { what: doing, repeatable, apiKey });
        }
      },
      storeRetry(patienceMs, signal),
    );
  };

  const status: Endpoint['status'] = (jobId, signal) => {
    const send = (): Promise<unknown> => endpoint.status(inPath(jobId), timeoutMs);
    return orNothing(call({ what: `asking for job ${jobId}` }, RUNPOD_JOB, send, signal));
  };

  return {
    id,
    status,
    async settled(jobId, waitMs, signal) {
      const until = performance.now() + waitMs;
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS)) {
        const job = await status(jobId, signal);
        const isUnderWay = job?.status === 'IN_QUEUE' || job?.status === 'IN_PROGRESS';
        if (!isUnderWay || performance.now() + pauseMs > until) return job;
        await sleep(pauseMs, signal);
      }
    },
    async submit({ input, webhook, policy }, signal) {
      const payload: EndpointInputPayload = {
        input,
        ...(webhook !== undefined && { webhook }),
        ...(policy !== undefined && { policy }),
      };
      const what = { what: 'submitting a job', repeatable: false };
      return (await call(what, SUBMITTED, () => endpoint.run(payload, timeoutMs), signal)).id;
    },
    async cancel(jobId, signal) {
      const send = (): Promise<unknown> => endpoint.cancel(inPath(jobId), timeoutMs);
      const cancelled = call({ what: `cancelling job ${jobId}` }, z.object({ id: z.string() }), send, signal);
      return (await orNothing(cancelled)) !== undefined;
    },
    health: (signal) => call({ what: 'asking how it is' }, HEALTH, () => endpoint.health(timeoutMs), signal),
  };
}

/** Ids come from rows, where anything may stand. */
function inPath(jobId: string): string {
  return encodeURIComponent(jobId);
}

async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RunPodError && error.code === 'runpod_not_found') return undefined;
    throw error;
  }
}

/** The SDK gives an answer other than 200 that is no error as `{status, statusText}`. */
function parseAnswer<T>(schema: z.ZodType<T>, answer: unknown, what: string): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new RunPodError('runpod_unexpected', `${what}: the answer is not as expected: ${faults}`);
}
