/** What the endpoint allows, as the service has it where nothing else is said. */
export interface EndpointLimits {
  /** A job that does not say itself how long it may run. */
  executionTimeoutMs: number;
  /** A job that does not say itself how long it may live. */
  ttlMs: number;
  /** How long results are kept. */
  asyncKeptMs: number;
  syncKeptMs: number;
  /** Requests to `/run` and to `/runsync`. */
  maxAsyncBytes: number;
  maxSyncBytes: number;
  /** Requests, results and pieces of streams together: the oldest results are forgotten first. */
  maxHeldBytes: number;
  /** Jobs that wait. */
  maxQueued: number;
  /** Between the calls of a webhook that was not taken. */
  webhookRetryMs: number;
}

const MINUTE_MS = 60_000;
const MEBIBYTE = 2 ** 20;

export const ENDPOINT_LIMITS: EndpointLimits = {
  executionTimeoutMs: 10 * MINUTE_MS,
  ttlMs: 24 * 60 * MINUTE_MS,
  asyncKeptMs: 30 * MINUTE_MS,
  syncKeptMs: MINUTE_MS,
  maxAsyncBytes: 10 * MEBIBYTE,
  maxSyncBytes: 20 * MEBIBYTE,
  // The service names none for these two.
  maxHeldBytes: 512 * MEBIBYTE,
  maxQueued: 10_000,
  webhookRetryMs: 10_000,
};

/** The longest that a job may run or live. */
export const MAX_JOB_MS = 7 * 24 * 60 * MINUTE_MS;
