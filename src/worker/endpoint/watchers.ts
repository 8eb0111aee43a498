/** Those who wait for something to become of a thing. */
export interface Watchers<T> {
  /** Resolves when the condition holds, after so long, or when the signal aborts. It is asked whenever the thing changes. */
  wait(thing: T, holds: () => boolean, waitMs: number, signal: AbortSignal): Promise<void>;
  changed(thing: T): void;
}

export function createWatchers<T>(): Watchers<T> {
  const looking = new Map<T, Set<() => void>>();
  return {
    async wait(thing, holds, waitMs, signal) {
      if (holds() || signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const look = (): void => {
        if (holds()) resolve(undefined);
      };
      const leave = (): void => resolve(undefined);
      const timer = setTimeout(leave, waitMs);
      signal.addEventListener('abort', leave, { once: true });
      const others = looking.get(thing) ?? new Set();
      looking.set(thing, others.add(look));
      await promise;
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
      others.delete(look);
      if (others.size === 0) looking.delete(thing);
    },
    changed(thing) {
      for (const look of looking.get(thing) ?? []) look();
    },
  };
}
