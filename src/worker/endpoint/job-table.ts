import { HandlerError } from '../../base/errors.ts';
import { createJobQueue } from '../job-queue.ts';
import {
  hasEnded,
  newJob,
  notBegun,
  type EndpointJob,
  type JobRequest,
  type JobState,
  type StreamPiece,
} from './job.ts';
import { createKeep } from './keep.ts';
import { MAX_JOB_MS, type EndpointLimits } from './limits.ts';
import { createWatchers, type Watchers } from './watchers.ts';

interface Outcome {
  state: Exclude<JobState, 'IN_QUEUE' | 'IN_PROGRESS'>;
  output?: unknown;
  error?: string | undefined;
  /** The size of what came with it. */
  bytes?: number;
}

interface JobCounts {
  completed: number;
  failed: number;
  inProgress: number;
  inQueue: number;
  retried: number;
}

/** Every job of an endpoint and what becomes of it: asked by clients (routes.ts) and by the worker (local-platform.ts). */
export interface JobTable {
  readonly counts: JobCounts;
  /** @throws HandlerError `too_many_jobs`, `stopping`. */
  submit(request: JobRequest, sync: boolean): EndpointJob;
  find(id: string): EndpointJob | undefined;
  /** Ends a job that waits or runs; one that has ended stays as it is. */
  cancel(job: EndpointJob): void;
  /** Puts a job that failed or timed out into the queue again. False where it did neither. @throws as `submit`. */
  retry(job: EndpointJob): boolean;
  /** Cancels all jobs that wait; how many they were. */
  purge(): number;
  /** Hands out the pieces of the job's stream that were not handed out yet. */
  fetchPieces(job: EndpointJob): unknown[];
  /** Sets how long the result is kept, from now on or from the job's end on. */
  keepFor(job: EndpointJob, ms: number): void;
  readonly wait: Watchers<EndpointJob>['wait'];

  /** Up to so many jobs, when there are any; none when the signal aborts. */
  take(
    max: number,
    workerId: string,
    signal: AbortSignal,
  ): Promise<{ job: EndpointJob; timeoutMs: number }[]>;
  /** Ids of jobs that were cancelled while a worker had them. */
  stops(signal: AbortSignal): Promise<string[]>;
  progress(id: string, output: unknown): void;
  /** False where there is no room for more pieces. */
  piece(id: string, piece: StreamPiece): boolean;
  /** The worker's result. Dropped where the job has ended otherwise. */
  end(id: string, outcome: Outcome): void;
  held(id: string): void;
  released(id: string): void;
  /** No more jobs: those that wait fail. What has ended is kept. */
  close(): void;
}

export interface JobTableOptions {
  limits: EndpointLimits;
  onEnd: (job: EndpointJob) => void;
}

/** What a job takes beside its request and its result. */
const RECORD_BYTES = 1_000;

export function createJobTable({ limits, onEnd }: JobTableOptions): JobTable {
  const jobs = new Map<string, EndpointJob>();
  const queue = createJobQueue<EndpointJob>();
  const stopped = createJobQueue<{ id: string }>();
  /** Jobs that the worker has; one that is to run again waits until it has let go of it. */
  const atWorker = new Set<string>();
  const watchers = createWatchers<EndpointJob>();
  const keep = createKeep(limits.maxHeldBytes, (id) => void jobs.delete(id));
  const counts: JobCounts = { completed: 0, failed: 0, inProgress: 0, inQueue: 0, retried: 0 };
  let closed = false;

  const enqueue = (job: EndpointJob, ttlMs: number): void => {
    job.state = 'IN_QUEUE';
    job.submittedAt = performance.now();
    counts.inQueue += 1;
    keep.arm(job.id, ttlMs, () => {
      finish(job, { state: 'TIMED_OUT', error: `the job waited longer than its ttl of ${ttlMs} ms` });
    });
    if (!atWorker.has(job.id)) queue.push(job);
  };
  const finish = (job: EndpointJob, { state, output, error, bytes = 0 }: Outcome): void => {
    if (hasEnded(job)) return;
    if (job.state === 'IN_QUEUE') {
      queue.remove(job.id);
      counts.inQueue -= 1;
    } else {
      counts.inProgress -= 1;
    }
    if (state === 'COMPLETED') counts.completed += 1;
    else if (state !== 'CANCELLED') counts.failed += 1;
    Object.assign(job, { state, output, error, endedAt: performance.now() });
    if (!mayRunAgain(job)) {
      keep.weigh(job.id, -(job.request?.bytes ?? 0));
      job.request = undefined;
    }
    keep.room(bytes);
    keep.weigh(job.id, bytes);
    keep.finished(job.id, job.keptMs);
    onEnd(job);
    watchers.changed(job);
  };
  const assertOpen = (bytes: number): void => {
    if (closed) throw new HandlerError('stopping', 'the endpoint is about to end and takes no more jobs');
    if (counts.inQueue < limits.maxQueued && keep.room(bytes)) return;
    const message = `${counts.inQueue} jobs wait already, and there is no room for more: submit it later`;
    throw new HandlerError('too_many_jobs', message, { retryable: true });
  };
  const running = (id: string): EndpointJob | undefined => {
    const job = jobs.get(id);
    return job?.state === 'IN_PROGRESS' ? job : undefined;
  };

  return {
    counts,
    submit(request, sync) {
      assertOpen(request.bytes + RECORD_BYTES);
      const job = newJob(request, sync, sync ? limits.syncKeptMs : limits.asyncKeptMs);
      jobs.set(job.id, job);
      keep.weigh(job.id, request.bytes + RECORD_BYTES);
      enqueue(job, request.ttl ?? limits.ttlMs);
      return job;
    },
    find: (id) => jobs.get(id),
    cancel(job) {
      const runs = job.state === 'IN_PROGRESS';
      finish(job, { state: 'CANCELLED' });
      if (runs) stopped.push({ id: job.id });
    },
    retry(job) {
      const { request } = job;
      if (!hasEnded(job) || request === undefined) return false;
      assertOpen(0);
      // The room may have been made of this very job.
      jobs.set(job.id, job);
      keep.weighAnew(job.id, request.bytes + RECORD_BYTES);
      Object.assign(job, notBegun());
      counts.retried += 1;
      enqueue(job, request.ttl ?? limits.ttlMs);
      return true;
    },
    purge() {
      const waiting = [...jobs.values()].filter(({ state }) => state === 'IN_QUEUE');
      for (const job of waiting) finish(job, { state: 'CANCELLED' });
      return waiting.length;
    },
    fetchPieces(job) {
      const pieces = job.pieces.splice(0);
      if (jobs.has(job.id)) keep.weigh(job.id, -pieces.reduce((sum, { bytes }) => sum + bytes, 0));
      return pieces.map(({ value }) => value);
    },
    keepFor(job, ms) {
      job.keptMs = ms;
      if (hasEnded(job)) keep.finished(job.id, ms);
    },
    wait: (...args) => watchers.wait(...args),
    async take(max, workerId, signal) {
      const taken = await queue.take(max, Infinity, signal);
      return taken.map((job) => {
        const now = performance.now();
        const ttl = job.request?.ttl ?? limits.ttlMs;
        const asked = job.request?.executionTimeout ?? limits.executionTimeoutMs;
        const timeoutMs = Math.ceil(Math.min(asked, MAX_JOB_MS, Math.max(1, job.submittedAt + ttl - now)));
        Object.assign(job, { state: 'IN_PROGRESS', startedAt: now, workerId });
        counts.inQueue -= 1;
        counts.inProgress += 1;
        keep.arm(job.id, timeoutMs, () => {
          finish(job, { state: 'TIMED_OUT', error: `the job ran longer than its ${timeoutMs} ms` });
        });
        watchers.changed(job);
        return { job, timeoutMs };
      });
    },
    stops: async (signal) => (await stopped.take(Infinity, Infinity, signal)).map(({ id }) => id),
    progress(id, output) {
      const job = running(id);
      if (job !== undefined) job.output = output;
    },
    piece(id, piece) {
      const job = running(id);
      if (job === undefined) return true;
      if (!keep.room(piece.bytes)) return false;
      keep.weigh(id, piece.bytes);
      job.pieces.push(piece);
      watchers.changed(job);
      return true;
    },
    end(id, outcome) {
      const job = running(id);
      if (job !== undefined) finish(job, outcome);
    },
    held: (id) => void atWorker.add(id),
    released(id) {
      atWorker.delete(id);
      const job = jobs.get(id);
      if (job?.state === 'IN_QUEUE') queue.push(job);
    },
    close() {
      closed = true;
      for (const job of jobs.values()) {
        if (job.state !== 'IN_QUEUE') continue;
        const error = 'the endpoint was stopped before the job began: submit it again';
        finish(job, { state: 'FAILED', error });
      }
    },
  };
}

function mayRunAgain({ state }: EndpointJob): boolean {
  return state === 'FAILED' || state === 'TIMED_OUT';
}
