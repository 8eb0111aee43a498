import pLimit, { type LimitFunction } from 'p-limit';

import { abortable } from '../flow/time.ts';

/** Bounded places, in all and for each host; a slow host's queue takes no places from the others. */
export interface HostSlots {
  /**
   * Runs the task when there is a place for it. A task that is told to stop while it waits gives up at once, with the
   * signal's reason; one that runs has to see to that itself.
   */
  run<T>(host: string, signal: AbortSignal, task: () => Promise<T>): Promise<T>;
}

export function createHostSlots(total: number, perHost: number): HostSlots {
  const all = pLimit(total);
  const hosts = new Map<string, { limit: LimitFunction; users: number }>();

  return {
    async run(host, signal, task) {
      const entry = hosts.get(host) ?? { limit: pLimit(perHost), users: 0 };
      hosts.set(host, entry);
      entry.users += 1;
      const turn = entry.limit(() =>
        all(async () => {
          signal.throwIfAborted();
          return task();
        }),
      );
      try {
        return await abortable(turn, signal);
      } finally {
        entry.users -= 1;
        if (entry.users === 0) hosts.delete(host);
      }
    },
  };
}
