import { abortable } from './time.ts';

/** A limit on what is held at once, in whatever unit the caller counts: bytes, requests. */
export interface Budget {
  /**
   * Waits, first come first served, until `amount` fits; resolves with the function that gives it back. More than
   * the whole limit is let through alone, so that one large item cannot block for ever.
   */
  acquire(amount: number, signal?: AbortSignal): Promise<() => void>;
  readonly used: number;
}

export function createBudget(limit: number): Budget {
  const waiting: { amount: number; admit: () => void }[] = [];
  let used = 0;

  const admitNext = (): void => {
    for (;;) {
      const first = waiting[0];
      if (first === undefined || (used > 0 && used + first.amount > limit)) return;
      waiting.shift();
      used += first.amount;
      first.admit();
    }
  };

  return {
    get used() {
      return used;
    },
    async acquire(amount, signal) {
      signal?.throwIfAborted();
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const ticket = {
        amount,
        admit: () => {
          resolve(true);
        },
      };
      let released = false;
      const release = (): void => {
        if (released) return;
        released = true;
        used -= amount;
        admitNext();
      };
      waiting.push(ticket);
      admitNext();
      try {
        await abortable(promise, signal);
      } catch (error) {
        const place = waiting.indexOf(ticket);
        if (place === -1) release();
        else waiting.splice(place, 1);
        throw error;
      }
      return release;
    },
  };
}
