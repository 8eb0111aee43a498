import { abortable } from './time.ts';

/** An amount (of bytes, say) that may be held at once, shared by all who ask. First come, first served. */
export interface Budget {
  /**
   * Waits for room. What it resolves with gives the amount back and must be called once. More than the whole budget
   * waits until nobody else holds any. Rejects with the signal's reason.
   */
  take(amount: number, signal?: AbortSignal): Promise<() => void>;
}

export function createBudget(total: number): Budget {
  let free = total;
  const queue: { amount: number; start: () => void }[] = [];
  const serve = (): void => {
    // A large one at the head is not overtaken: small ones could keep it waiting for ever.
    for (let next = queue[0]; next !== undefined && next.amount <= free; next = queue[0]) {
      queue.shift();
      free -= next.amount;
      next.start();
    }
  };
  return {
    async take(amount, signal) {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const entry = {
        amount: Math.min(Math.max(0, amount), total),
        start: () => {
          resolve(true);
        },
      };
      const giveBack = (): void => {
        free += entry.amount;
        serve();
      };
      queue.push(entry);
      serve();
      try {
        await abortable(promise, signal);
      } catch (error) {
        const place = queue.indexOf(entry);
        if (place !== -1) queue.splice(place, 1);
        else free += entry.amount;
        serve();
        throw error;
      }
      return giveBack;
    },
  };
}
