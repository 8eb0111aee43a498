import type { HandlerError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Load } from './concurrency.ts';
import { createJobControl, type JobControl, type StopOptions } from './job-control.ts';
import type { Platform, TakenJob } from './platform.ts';

export interface JobPoolOptions {
  limit: (load: Omit<Load, 'concurrency'>) => number;
  /** Never rejects. */
  run: (job: TakenJob, control: JobControl) => Promise<void>;
  platform: Pick<Platform, 'held' | 'released'>;
  log: Log;
}

/** Every job that this worker has taken and not yet answered. */
export interface JobPool {
  readonly size: number;
  /** Of these, jobs whose outcome is still to come, and jobs with one that is not delivered yet. */
  readonly working: number;
  readonly answering: number;
  /** Jobs that may still be taken now. @throws what the limit throws. */
  free(): number;
  /**
   * Starts the jobs as places allow, now or when there are more of them. One that is held already is not started a second time; where it was cancelled and
   * has not ended yet, it is another run of it, which begins after that.
   */
  add(jobs: readonly TakenJob[]): void;
  /** The platform wants no result of these, running or queued. */
  cancel(ids: readonly string[]): void;
  /** Stops every job there is and every one that is still to come; those that wait start at once. */
  stop(options: StopOptions): void;
  /** Answers every job with this error, without waiting for its handler any longer. */
  giveUp(error: HandlerError): void;
  /** Resolves when something began or ended, or after so long. */
  changed(withinMs: number, signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is held. */
  idle(): Promise<void>;
}

export function createJobPool({ limit, run, platform, log }: JobPoolOptions): JobPool {
  const controls = new Map<string, JobControl>();
  const queue: TakenJob[] = [];
  /** Jobs handed out again while their cancelled run winds up. */
  const again = new Map<string, TakenJob>();
  const running = new Set<string>();
  const watchers = new Set<() => void>();
  let recheck: NodeJS.Timeout | undefined;
  let stopping: { options: StopOptions; at: number } | undefined;
  let givingUp: HandlerError | undefined;

  const load = (): Omit<Load, 'concurrency'> => ({ running: running.size, queued: queue.length });
  const tell = (): void => {
    for (const wake of [...watchers]) wake();
  };
  const count = (settled: boolean): number =>
    [...controls.values()].filter((control) => !control.cancelled && control.settled === settled).length;
  const hold = (job: TakenJob): void => {
    const control = createJobControl();
    controls.set(job.id, control);
    platform.held(job.id);
    queue.push(job);
    stopOne(control);
    if (givingUp !== undefined) control.giveUp(givingUp);
  };
  const release = (id: string): void => {
    controls.delete(id);
    running.delete(id);
    platform.released(id);
    const next = again.get(id);
    again.delete(id);
    if (next !== undefined) hold(next);
  };
  const places = (): number => {
    if (stopping !== undefined || givingUp !== undefined) return Infinity;
    try {
      return limit(load());
    } catch {
      // Whoever asks for free places hears of it, and takes no more: what is held runs one by one.
      return 1;
    }
  };
  const advance = (): void => {
    while (queue.length > 0 && running.size < places()) {
      const job = queue.shift();
      const control = job && controls.get(job.id);
      if (job === undefined || control === undefined) continue;
      running.add(job.id);
      void run(job, control).then(() => {
        release(job.id);
        advance();
      });
    }
    clearTimeout(recheck);
    if (queue.length > 0) recheck = setTimeout(advance, LIMIT_RECHECK_MS);
    tell();
  };
  const stopOne = (control: JobControl): void => {
    if (stopping === undefined) return;
    const { options, at } = stopping;
    const gone = performance.now() - at;
    control.stop({
      ...options,
      handlerMs: Math.max(0, options.handlerMs - gone),
      ...(options.deliveryMs === undefined ? {} : { deliveryMs: Math.max(0, options.deliveryMs - gone) }),
    });
  };

  return {
    get size() {
      return controls.size;
    },
    get working() {
      return count(false);
    },
    get answering() {
      return count(true);
    },
    free: () => limit(load()) - controls.size,
    add(jobs) {
      for (const job of jobs) {
        const control = controls.get(job.id);
        if (control === undefined) hold(job);
        else if (control.cancelled) again.set(job.id, job);
        else log.warn('A job was handed out a second time: it runs once', { requestId: job.id });
      }
      advance();
    },
    cancel(ids) {
      for (const id of ids) {
        again.delete(id);
        const control = controls.get(id);
        if (control === undefined) continue;
        control.cancel(CANCEL_GRACE_MS);
        const place = queue.findIndex((job) => job.id === id);
        if (place === -1) continue;
        queue.splice(place, 1);
        control.dispose();
        release(id);
        log.info('Job cancelled before it began', { requestId: id });
      }
      advance();
    },
    stop(options) {
      stopping ??= { options, at: performance.now() };
      for (const control of controls.values()) stopOne(control);
      advance();
    },
    giveUp(error) {
      givingUp ??= error;
      for (const control of controls.values()) control.giveUp(error);
      advance();
    },
    changed: (withinMs, signal) =>
      new Promise((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          watchers.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, withinMs);
        watchers.add(wake);
        signal.addEventListener('abort', wake, { once: true });
        if (signal.aborted) wake();
      }),
    async idle() {
      while (controls.size > 0) {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            watchers.delete(wake);
            resolve();
          };
          watchers.add(wake);
        });
      }
    },
  };
}

/** A concurrency that is a function of something else than jobs is asked again after this while jobs wait. */
export const LIMIT_RECHECK_MS = 1_000;
/** How long a cancelled handler may take to end before its place is given to another job. */
const CANCEL_GRACE_MS = 30_000;
