/** A job as the queue hands it out: `id`, `input`, and whatever else was submitted with it. */
export interface SimulatedJob {
  id: string;
  input: unknown;
  [key: string]: unknown;
}

interface Taker {
  max: number;
  answer: (jobs: SimulatedJob[]) => void;
}

/** Jobs that wait for a worker, and workers that wait for a job; first come, first served. */
export interface JobQueue {
  readonly waiting: number;
  push(job: SimulatedJob): void;
  /** Back to the head: nobody was there any more to receive them. */
  giveBack(jobs: readonly SimulatedJob[]): void;
  /** Up to `max` jobs, at once where there are any; none after `waitMs`, or when the signal aborts. */
  take(max: number, waitMs: number, signal: AbortSignal): Promise<SimulatedJob[]>;
  /** Takes a waiting job out; false where it does not wait here. */
  remove(id: string): boolean;
}

export function createJobQueue(): JobQueue {
  let jobs: SimulatedJob[] = [];
  /** Everything before it is handed out: shifting a long list for each job would cost. */
  let head = 0;
  const takers = new Set<Taker>();

  const next = (max: number): SimulatedJob[] => {
    const taken = jobs.slice(head, head + max);
    head += taken.length;
    if (head > 1_000 && head * 2 > jobs.length) {
      jobs = jobs.slice(head);
      head = 0;
    }
    return taken;
  };
  const serve = (): void => {
    for (const taker of takers) {
      if (head >= jobs.length) return;
      takers.delete(taker);
      taker.answer(next(taker.max));
    }
  };

  return {
    get waiting() {
      return jobs.length - head;
    },
    push(job) {
      jobs.push(job);
      serve();
    },
    giveBack(back) {
      jobs = [...back, ...jobs.slice(head)];
      head = 0;
      serve();
    },
    take(max, waitMs, signal) {
      if (signal.aborted) return Promise.resolve([]);
      if (head < jobs.length) return Promise.resolve(next(max));
      const { promise, resolve } = Promise.withResolvers<SimulatedJob[]>();
      const leave = (): void => taker.answer([]);
      const timer = setTimeout(leave, waitMs);
      const taker: Taker = {
        max,
        answer: (taken) => {
          clearTimeout(timer);
          signal.removeEventListener('abort', leave);
          takers.delete(taker);
          resolve(taken);
        },
      };
      signal.addEventListener('abort', leave, { once: true });
      takers.add(taker);
      return promise;
    },
    remove(id) {
      const place = jobs.findIndex((job, i) => i >= head && job.id === id);
      if (place === -1) return false;
      jobs.splice(place, 1);
      return true;
    },
  };
}
