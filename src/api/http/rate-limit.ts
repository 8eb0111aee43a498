/** What is left for a caller. */
interface Allowance {
  allowed: boolean;
  /** Requests that may come at once. */
  remaining: number;
  /** Until the next request is allowed, or all are again; in seconds. */
  resetSeconds: number;
}

export interface RateLimit {
  readonly perMinute: number;
  take(caller: string): Allowance;
}

interface Bucket {
  tokens: number;
  at: number;
}

const MINUTE_MS = 60_000;
/** Callers that are remembered; those that have been silent for longest are as good as new, and are forgotten. */
const MAX_CALLERS = 10_000;

/** A bucket of tokens for each caller: so many requests at once, refilled evenly over a minute. */
export function createRateLimit(perMinute: number, now: () => number = () => performance.now()): RateLimit {
  const buckets = new Map<string, Bucket>();
  const perMs = perMinute / MINUTE_MS;
  return {
    perMinute,
    take(caller) {
      const at = now();
      const before = buckets.get(caller);
      const tokens =
        before === undefined ? perMinute : Math.min(perMinute, before.tokens + (at - before.at) * perMs);
      const allowed = tokens >= 1;
      const left = allowed ? tokens - 1 : tokens;
      // Behind all others: the first ones are those that have been silent for longest.
      buckets.delete(caller);
      buckets.set(caller, { tokens: left, at });
      const [oldest] = buckets.size > MAX_CALLERS ? buckets.keys() : [];
      if (oldest !== undefined) buckets.delete(oldest);
      const missing = allowed ? perMinute - left : 1 - left;
      return {
        allowed,
        remaining: Math.floor(left),
        resetSeconds: Math.max(1, Math.ceil(missing / perMs / 1_000)),
      };
    },
  };
}
