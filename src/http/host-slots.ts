import { createBudget, type Budget } from '../flow/budget.ts';

/** Bounded places, in all and for each host; a slow host's queue takes no places from the others. */
export interface HostSlots {
  acquire(host: string, signal: AbortSignal): Promise<() => void>;
}

export function createHostSlots(total: number, perHost: number): HostSlots {
  const all = createBudget(total);
  const hosts = new Map<string, { budget: Budget; users: number }>();

  return {
    async acquire(host, signal) {
      const entry = hosts.get(host) ?? { budget: createBudget(perHost), users: 0 };
      hosts.set(host, entry);
      entry.users += 1;
      const leave = (): void => {
        entry.users -= 1;
        if (entry.users === 0) hosts.delete(host);
      };
      let releaseHost: (() => void) | undefined;
      try {
        releaseHost = await entry.budget.acquire(1, signal);
        const releaseAll = await all.acquire(1, signal);
        return () => {
          releaseAll();
          releaseHost?.();
          leave();
        };
      } catch (error) {
        releaseHost?.();
        leave();
        throw error;
      }
    },
  };
}
