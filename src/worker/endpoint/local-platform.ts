import { HttpError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Platform, TakenJob } from '../platform.ts';
import type { JobTable } from './job-table.ts';

export interface LocalPlatformOptions {
  jobs: JobTable;
  workerId: string;
  onReady: () => void;
  log: Log;
}

/** The queue of this process, as its worker sees it: the same calls as RunPod's service has, with nothing on the wire. */
export function createLocalPlatform({ jobs, workerId, onReady, log }: LocalPlatformOptions): Platform {
  return {
    replacesWorkers: false,
    ready() {
      onReady();
      return Promise.resolve();
    },
    async take(count, _, untilAnswer) {
      const taken = await jobs.take(count, workerId, untilAnswer);
      return taken.map(({ job, timeoutMs }): TakenJob => ({
        id: job.id,
        input: job.request?.input,
        policy: { executionTimeout: timeoutMs },
      }));
    },
    stops: (signal) => jobs.stops(signal),
    done({ jobId, body, timedOut }) {
      const { output, error } = fieldsOf(body);
      const state = timedOut ? 'TIMED_OUT' : error === undefined ? 'COMPLETED' : 'FAILED';
      jobs.end(jobId, { state, output, error, bytes: Buffer.byteLength(body) });
      return Promise.resolve();
    },
    progress({ jobId, body }) {
      jobs.progress(jobId, fieldsOf(body).output);
      return Promise.resolve();
    },
    stream({ jobId, body }) {
      const piece = { value: fieldsOf(body), bytes: Buffer.byteLength(body) };
      if (jobs.piece(jobId, piece)) return Promise.resolve();
      const message = 'nobody fetches the stream, and the endpoint has no room for more of it';
      return Promise.reject(new HttpError('stream_too_long', message, { status: 413 }));
    },
    unhealthy(check, reason) {
      log.error('The endpoint ends: its worker is not fit', { check, reason });
      return Promise.resolve();
    },
    held: (jobId) => jobs.held(jobId),
    released: (jobId) => jobs.released(jobId),
    close: () => Promise.resolve(),
  };
}

/** The worker's own bodies: run-job.ts made them. */
function fieldsOf(body: string): { output?: unknown; error?: string } {
  return JSON.parse(body) as { output?: unknown; error?: string };
}
