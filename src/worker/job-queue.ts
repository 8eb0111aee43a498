interface Taker<J> {
  max: number;
  answer: (jobs: J[]) => void;
}

/** Jobs that wait for a worker, and workers that wait for a job; first come, first served. */
export interface JobQueue<J extends { id: string }> {
  readonly waiting: number;
  push(job: J): void;
  /** Back to the head: nobody was there any more to receive them. */
  giveBack(jobs: readonly J[]): void;
  /** Up to `max` jobs, at once where there are any; none after `waitMs` (Infinity: never), or when the signal aborts. */
  take(max: number, waitMs: number, signal: AbortSignal): Promise<J[]>;
  /** Takes a waiting job out; false where it does not wait here. */
  remove(id: string): boolean;
}

export function createJobQueue<J extends { id: string }>(): JobQueue<J> {
  let jobs: J[] = [];
  /** Everything before it is handed out: shifting a long list for each job would cost. */
  let head = 0;
  const takers = new Set<Taker<J>>();

  const next = (max: number): J[] => {
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
      const { promise, resolve } = Promise.withResolvers<J[]>();
      const leave = (): void => taker.answer([]);
      const timer = waitMs === Infinity ? undefined : setTimeout(leave, waitMs);
      const taker: Taker<J> = {
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
