import { randomUUID } from 'node:crypto';

import { createJobQueue } from '../job-queue.ts';
import { bodyFaults, faultsOf, type JobState } from './checks.ts';
import { addTo, type RecordedRequest, type Recorder } from './record.ts';

/** As the queue hands it out: `id`, `input`, and whatever else was submitted with it. */
interface SimulatedJob {
  id: string;
  input: unknown;
  [key: string]: unknown;
}

export interface ServiceOptions {
  apiKey: string;
  longPollMs: number;
  maxResultBytes: number;
  record: boolean;
}

export interface Answer {
  status: number;
  body?: string;
  /** Nobody received it: what was handed out goes back. */
  undo?: () => void;
}

/** The service behind the routes: its queue, its jobs, and what each request of a worker does to them. */
export interface Service {
  readonly waiting: number;
  submit(input: unknown, extra: Readonly<Record<string, unknown>>): string;
  stop(id: string): boolean;
  /** The request's effect and its answer; `gone` aborts when the worker is no longer there to receive it. */
  handle(request: RecordedRequest, gone: AbortSignal): Promise<Answer> | Answer;
  clear(): void;
}

const OK: Answer = { status: 200 };
const NONE: Answer = { status: 204 };

export function createService(recorder: Recorder, options: ServiceOptions): Service {
  const queue = createJobQueue<SimulatedJob>();
  const jobs = new Map<string, JobState>();
  const stops = createStops();

  const take = async (request: RecordedRequest, gone: AbortSignal): Promise<Answer> => {
    const batch = request.route === 'take-batch';
    const max = batch ? Math.max(1, Number(request.query.batch_size) || 1) : 1;
    const taken = await queue.take(max, options.longPollMs, gone);
    if (taken.length === 0) return NONE;
    for (const { id } of taken) jobs.set(id, { state: 'taken', workerId: request.workerId });
    return { status: 200, body: JSON.stringify(batch ? taken : taken[0]), undo: () => takeBack(taken) };
  };
  const takeBack = (taken: readonly SimulatedJob[]): void => {
    const back = taken.filter(({ id }) => jobs.get(id)?.state === 'taken');
    for (const { id } of back) jobs.set(id, { state: 'queued', workerId: undefined });
    queue.giveBack(back);
  };

  const stop = async (request: RecordedRequest, gone: AbortSignal): Promise<Answer> => {
    const ids = await stops.take(request.workerId, options.longPollMs, gone);
    return ids.length === 0 ? NONE : { status: 200, body: JSON.stringify({ jobsToStop: ids }) };
  };

  const post = (request: RecordedRequest): Answer => {
    const { route, jobId = '', time, workerId } = request;
    const bytes = Buffer.byteLength(request.body);
    if (bytes > options.maxResultBytes) {
      return refuse(413, `the body has ${bytes} bytes, above ${options.maxResultBytes}`);
    }
    const body = parseJson(request.body);
    for (const message of bodyFaults(body)) recorder.violation({ route, jobId, message });
    if (body === null || typeof body !== 'object') return refuse(400, 'the body is no JSON object');
    const fields = body as Record<string, unknown>;
    if (route === 'done') {
      jobs.set(jobId, { state: 'ended', workerId });
      recorder.finals += 1;
      const kept = Object.fromEntries(Object.entries(fields).filter(([key]) => FINAL_KEYS.has(key)));
      addTo(recorder.results, jobId, {
        time,
        workerId,
        ...kept,
        isStream: request.query.isStream === 'true',
      });
    } else if (options.record) {
      addTo(route === 'progress' ? recorder.progress : recorder.streams, jobId, {
        time,
        output: fields.output,
      });
    }
    return OK;
  };

  return {
    get waiting() {
      return queue.waiting;
    },
    submit(input, extra) {
      const id = typeof extra.id === 'string' ? extra.id : randomUUID();
      jobs.set(id, { state: 'queued', workerId: undefined });
      queue.push({ ...extra, id, input });
      return id;
    },
    stop(id) {
      const job = jobs.get(id);
      if (job === undefined || job.state === 'ended') return false;
      queue.remove(id);
      jobs.set(id, { ...job, state: 'stopped' });
      if (job.workerId !== undefined) stops.push(job.workerId, id);
      return true;
    },
    handle(request, gone) {
      const { route, jobId } = request;
      for (const message of faultsOf(request, options.apiKey, jobs.get(jobId ?? ''))) {
        recorder.violation({ route, jobId, message });
      }
      if (request.headers.authorization !== options.apiKey) return refuse(401, 'the key is wrong');
      if (route === 'ping') return OK;
      if (route === 'stop') return stop(request, gone);
      return route === 'take' || route === 'take-batch' ? take(request, gone) : post(request);
    },
    clear() {
      for (const [id, { state }] of jobs) if (state === 'ended' || state === 'stopped') jobs.delete(id);
    },
  };
}

const FINAL_KEYS: ReadonlySet<string> = new Set(['output', 'error', 'stopPod']);

/** Ids of jobs to stop, kept for each worker until it asks. */
function createStops(): {
  push(workerId: string, id: string): void;
  take(workerId: string, waitMs: number, gone: AbortSignal): Promise<string[]>;
} {
  const pending = new Map<string, string[]>();
  const pollers = new Map<string, () => void>();
  const next = (workerId: string): string[] => {
    const ids = pending.get(workerId) ?? [];
    pending.delete(workerId);
    return ids;
  };
  return {
    push(workerId, id) {
      addTo(pending, workerId, id);
      pollers.get(workerId)?.();
    },
    async take(workerId, waitMs, gone) {
      const isGone = (): boolean => gone.aborted;
      if (pending.has(workerId) || isGone()) return next(workerId);
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const wake = (): void => resolve(undefined);
      const timer = setTimeout(wake, waitMs);
      gone.addEventListener('abort', wake, { once: true });
      pollers.set(workerId, wake);
      await promise;
      clearTimeout(timer);
      gone.removeEventListener('abort', wake);
      if (pollers.get(workerId) === wake) pollers.delete(workerId);
      // The caller may be gone by now: what it would have been given stays in the queue.
      return isGone() ? [] : next(workerId);
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function refuse(status: number, error: string): Answer {
  return { status, body: JSON.stringify({ error }) };
}
