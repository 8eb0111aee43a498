import { randomUUID } from 'node:crypto';

export type JobState = 'IN_QUEUE' | 'IN_PROGRESS' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT';

/** What a client asked for. */
export interface JobRequest {
  input: unknown;
  /** Called with the result. */
  webhook: string | undefined;
  /** How long it may run, in milliseconds; undefined: as the endpoint says. */
  executionTimeout: number | undefined;
  /** How long it may live, from its submission on, in milliseconds. */
  ttl: number | undefined;
  /** The request's size as it came. */
  bytes: number;
}

/** A job of this endpoint, from its submission until its result is forgotten. Changed by the job table alone. */
export interface EndpointJob {
  readonly id: string;
  readonly webhook: string | undefined;
  /** Undefined once nothing can run the job again. */
  request: JobRequest | undefined;
  state: JobState;
  /** On the clock of `performance`. */
  submittedAt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
  /** Progress while it runs, the output afterwards. */
  output: unknown;
  error: string | undefined;
  workerId: string | undefined;
  /** Pieces of its stream that nobody has fetched yet. */
  pieces: StreamPiece[];
  /** How long its result is kept. */
  keptMs: number;
}

export interface StreamPiece {
  /** As the worker posts it: `output` or `error`. */
  value: unknown;
  bytes: number;
}

export function newJob(request: JobRequest, sync: boolean, keptMs: number): EndpointJob {
  return {
    id: sync ? `sync-${randomUUID()}` : randomUUID(),
    webhook: request.webhook,
    request,
    keptMs,
    state: 'IN_QUEUE',
    submittedAt: performance.now(),
    ...notBegun(),
  };
}

/** What a job that waits has not: also one that runs again. */
export function notBegun(): Pick<
  EndpointJob,
  'startedAt' | 'endedAt' | 'output' | 'error' | 'workerId' | 'pieces'
> {
  const none = { startedAt: undefined, endedAt: undefined, output: undefined, error: undefined };
  return { ...none, workerId: undefined, pieces: [] };
}

export function hasEnded({ endedAt }: EndpointJob): boolean {
  return endedAt !== undefined;
}

/** A job's status as the service words it. Times are in milliseconds: waiting for a worker, and running. */
export function statusOf(job: EndpointJob): Record<string, unknown> {
  const { id, state, submittedAt, startedAt, endedAt, output, error, workerId } = job;
  const now = endedAt ?? performance.now();
  return {
    delayTime: Math.round((startedAt ?? now) - submittedAt),
    ...(startedAt === undefined ? {} : { executionTime: Math.round(now - startedAt) }),
    id,
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error }),
    status: state,
    ...(workerId === undefined ? {} : { workerId }),
  };
}
