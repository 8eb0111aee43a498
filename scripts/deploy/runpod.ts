import { z } from 'zod';

import { HandlerError } from '../../src/base/errors.ts';
import { retry } from '../../src/flow/retry.ts';
import { createDirectHttp, type DirectAnswer } from '../../src/http/direct.ts';
import { retryAfterOf } from '../../src/http/retry-after.ts';
import { ENDPOINT_SCHEMA, TEMPLATE_SCHEMA, type Body, type Endpoint, type Template } from './bodies.ts';

const REQUEST_TIMEOUT_MS = 60_000;

const PROBLEM_SCHEMA = z.looseObject({
  title: z.string().optional(),
  detail: z.string().optional(),
  errors: z.unknown().optional(),
});

const WORKERS_SCHEMA = z.object({
  workers: z.array(
    z.object({
      id: z.string(),
      status: z.string(),
      isStale: z.boolean().nullish(),
      image: z.string().nullish(),
    }),
  ),
});

const JOB_SCHEMA = z.object({
  id: z.string(),
  status: z.string(),
  output: z.unknown().optional(),
  error: z.unknown().optional(),
  workerId: z.string().nullish(),
});
export type SmokeJob = z.infer<typeof JOB_SCHEMA>;

const HEALTH_SCHEMA = z.object({ workers: z.record(z.string(), z.number()) });

/** RunPod's REST API v2, for templates and endpoints, and its API for jobs. */
export interface RunPod {
  templates(): Promise<Template[]>;
  createTemplate(body: Body): Promise<Template>;
  changeTemplate(id: string, body: Body): Promise<Template>;
  endpoints(): Promise<Endpoint[]>;
  endpoint(id: string): Promise<Endpoint>;
  createEndpoint(body: Body): Promise<Endpoint>;
  changeEndpoint(id: string, body: Body): Promise<Endpoint>;
  workers(endpointId: string): Promise<z.infer<typeof WORKERS_SCHEMA>['workers']>;
  run(endpointId: string, body: Body): Promise<SmokeJob>;
  job(endpointId: string, jobId: string): Promise<SmokeJob>;
  cancel(endpointId: string, jobId: string): Promise<void>;
  /** How many workers are in which state. */
  health(endpointId: string): Promise<Record<string, number>>;
  close(): Promise<void>;
}

export interface RunPodOptions {
  key: string;
  restUrl: string;
  jobsUrl: string;
  signal: AbortSignal;
}

/**
 * What may pass (no network, 408, 429, 5xx) is tried again, but nothing is made twice: a POST only where it was turned
 * away for now (429).
 * @throws HandlerError `runpod_refused` with the problem as RFC 9457 has it; HttpError where nothing answers.
 */
export function createRunPod({ key, restUrl, jobsUrl, signal }: RunPodOptions): RunPod {
  const http = createDirectHttp();
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };

  const ask = async <T>(
    method: 'GET' | 'POST' | 'PATCH',
    url: string,
    schema: z.ZodType<T>,
    body?: Body,
  ): Promise<T> => {
    const attempt = async (): Promise<T> => {
      const answer = await http
        .request({
          method,
          url,
          headers,
          timeoutMs: REQUEST_TIMEOUT_MS,
          signal,
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        })
        .catch((error: unknown) => {
          throw method === 'POST' ? lasting(error) : error;
        });
      if (answer.status < 200 || answer.status > 299) throw refusal(method, url, answer);
      return parse(method, url, schema, answer.body);
    };
    return retry(attempt, { signal });
  };
  const rest = (path: string): string => `${restUrl.replace(/\/$/, '')}/v2${path}`;
  const jobs = (id: string, path: string): string => `${jobsUrl.replace(/\/$/, '')}/v2/${id}${path}`;

  return {
    templates: () => ask('GET', rest('/templates'), listOf('templates', TEMPLATE_SCHEMA)),
    createTemplate: (body) => ask('POST', rest('/templates'), TEMPLATE_SCHEMA, body),
    changeTemplate: (id, body) => ask('PATCH', rest(`/templates/${id}`), TEMPLATE_SCHEMA, body),
    endpoints: () => ask('GET', rest('/serverless'), listOf('endpoints', ENDPOINT_SCHEMA)),
    endpoint: (id) => ask('GET', rest(`/serverless/${id}`), ENDPOINT_SCHEMA),
    createEndpoint: (body) => ask('POST', rest('/serverless'), ENDPOINT_SCHEMA, body),
    changeEndpoint: (id, body) => ask('PATCH', rest(`/serverless/${id}`), ENDPOINT_SCHEMA, body),
    workers: async (id) => (await ask('GET', rest(`/serverless/${id}/workers`), WORKERS_SCHEMA)).workers,
    run: (id, body) => ask('POST', jobs(id, '/run'), JOB_SCHEMA, body),
    job: (id, jobId) => ask('GET', jobs(id, `/status/${jobId}`), JOB_SCHEMA),
    cancel: async (id, jobId) => {
      await ask('POST', jobs(id, `/cancel/${jobId}`), z.unknown());
    },
    health: async (id) => (await ask('GET', jobs(id, '/health'), HEALTH_SCHEMA)).workers,
    close: () => http.close(),
  };
}

function listOf<T>(key: string, item: z.ZodType<T>): z.ZodType<T[]> {
  return z.object({ [key]: z.array(item) }).transform((answer) => answer[key] ?? []);
}

/** A POST whose answer was lost may have been done. */
function lasting(error: unknown): unknown {
  if (!(error instanceof HandlerError)) return error;
  const message = `${error.message}; whether it was done is not known`;
  return new HandlerError(error.code, message, { cause: error });
}

function refusal(method: string, url: string, { status, headers, body }: DirectAnswer): HandlerError {
  const problem = PROBLEM_SCHEMA.safeParse(jsonOf(body)).data ?? {};
  const { title, detail, errors } = problem;
  const reasons = [
    [title, detail].filter(Boolean).join(': '),
    errors === undefined ? undefined : JSON.stringify(errors),
    status === 401 || status === 403 ? 'check RUNPOD_API_KEY and what it may do' : undefined,
  ].filter(Boolean);
  const what = reasons.length > 0 ? reasons.join('; ') : 'it does not say why';
  const wait = retryAfterOf(headers);
  const passes = status === 429 || (method !== 'POST' && (status === 408 || status >= 500));
  return new HandlerError(
    'runpod_refused',
    `RunPod answered ${method} ${url} with ${String(status)}: ${what}`,
    {
      retryable: passes,
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    },
  );
}

function parse<T>(method: string, url: string, schema: z.ZodType<T>, body: string): T {
  const result = schema.safeParse(jsonOf(body));
  if (result.success) return result.data;
  const keys = result.error.issues.map((issue) => issue.path.join('.') || 'the whole');
  const message = `RunPod's answer to ${method} ${url} is not as documented: ${keys.join(', ')}`;
  throw new HandlerError('runpod_unknown_answer', message);
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
