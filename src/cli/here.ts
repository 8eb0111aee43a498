import { randomUUID } from 'node:crypto';

import type { Endpoint, RunPodJob } from '../api/runpod/endpoint.ts';
import type { RunKindName } from '../api/runs/run-kinds.ts';
import { messageOf, StoppedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import { sleep } from '../flow/time.ts';
import { invoke } from '../worker/invoke.ts';
import { openHandler } from './handlers.ts';

/** The worker of a run's kind in this process, as an endpoint that takes jobs. */
export interface EndpointHere extends Endpoint, AsyncDisposable {
  /** Ends what runs, and gives it the time that it needs for that. */
  [Symbol.asyncDispose](): Promise<void>;
}

interface JobHere {
  state: RunPodJob;
  stop: AbortController;
  ended: Promise<void>;
}

const LOOK_MS = 50;

/**
 * One job after the other. Models and connections are opened by the first. Its id is no endpoint's of RunPod, and no other
 * process's: only this one may say that it does not know a job.
 */
export function endpointHere(kind: RunKindName, settings: Settings, log: Log): EndpointHere {
  const jobs = new Map<string, JobHere>();
  let opened: ReturnType<typeof openHandler> | undefined;
  let last = Promise.resolve();

  const run = async (job: JobHere, input: unknown): Promise<void> => {
    if (job.stop.signal.aborted) {
      job.state = { id: job.state.id, status: 'CANCELLED' };
      return;
    }
    try {
      const { handler } = await (opened ??= openHandler(kind, settings));
      job.state = { ...job.state, status: 'IN_PROGRESS' };
      const output = await invoke(handler, input, { id: job.state.id, signal: job.stop.signal, log });
      job.state = { id: job.state.id, status: 'COMPLETED', output };
    } catch (error) {
      log.debug('The job failed', { error });
      job.state = { id: job.state.id, status: 'FAILED', error: messageOf(error) };
    }
  };
  const stop = (job: JobHere): void => job.stop.abort(new StoppedError('cancelled', 'the run was cancelled'));
  const status: Endpoint['status'] = (id) => Promise.resolve(jobs.get(id)?.state);

  return {
    id: `here-${randomUUID()}`,
    status,
    submit({ input }) {
      const id = randomUUID();
      const job: JobHere = {
        state: { id, status: 'IN_QUEUE' },
        stop: new AbortController(),
        ended: Promise.resolve(),
      };
      jobs.set(id, job);
      job.ended = last = last.then(() => run(job, input));
      return Promise.resolve(id);
    },
    async settled(id, waitMs, signal) {
      const until = performance.now() + waitMs;
      for (;;) {
        const job = jobs.get(id)?.state;
        const isUnderWay = job?.status === 'IN_QUEUE' || job?.status === 'IN_PROGRESS';
        if (!isUnderWay || performance.now() > until) return job;
        await sleep(LOOK_MS, signal);
      }
    },
    cancel(id) {
      const job = jobs.get(id);
      if (job !== undefined) stop(job);
      return Promise.resolve(job !== undefined);
    },
    health: () =>
      Promise.resolve({ jobs: { inQueue: 0, inProgress: jobs.size }, workers: { running: 1, idle: 0 } }),
    async [Symbol.asyncDispose]() {
      for (const job of jobs.values()) stop(job);
      await Promise.all([...jobs.values()].map(({ ended }) => ended));
      await (await opened)?.close();
    },
  };
}
