import type { HttpError } from '../base/errors.ts';

/** A job as the platform hands it out. */
export interface TakenJob {
  id: string;
  /** Undefined where the platform sent none. */
  input?: unknown;
  /** As the submitter gave it; `executionTimeout` in milliseconds. */
  policy?: { executionTimeout?: number | undefined } | undefined;
}

/** One thing to be posted about one job. */
export interface Posting {
  jobId: string;
  body: string;
  /** Gives it up. */
  signal: AbortSignal;
}

/** What is to arrive. */
export interface Delivery extends Posting {
  /** How long it is tried again from now on. */
  patienceMs: number;
  onRetry?: (error: HttpError, delayMs: number) => void;
}

/** A job's one final post. */
interface ResultDelivery extends Delivery {
  isStream: boolean;
  /** The job's time was up before it ended: RunPod's service counts by itself. */
  timedOut: boolean;
}

/**
 * Where a worker's jobs come from and where their results go: RunPod's service (runpod-platform.ts), or the queue of an
 * endpoint on this machine (endpoint/local-platform.ts).
 */
export interface Platform {
  /** Does it start a fresh worker in place of one that asks for it? */
  readonly replacesWorkers: boolean;
  /** The worker is fit and begins to take jobs. */
  ready(): Promise<void>;
  /**
   * One long poll; an empty list where there is no job. An answer that has begun is read to its end, told to stop or not.
   * @throws HttpError, retryable; the signal's reason.
   */
  take(count: number, busy: boolean, untilAnswer: AbortSignal): Promise<TakenJob[]>;
  /** One long poll; the ids of jobs to end. @throws HttpError; the signal's reason. */
  stops(signal: AbortSignal): Promise<string[]>;
  /** @throws HttpError of the last try, or at once where another try is in vain; the signal's reason. */
  done(delivery: ResultDelivery): Promise<void>;
  /** A try only: the next progress is as good. @throws HttpError; the signal's reason. */
  progress(posting: Posting): Promise<void>;
  /** Nothing where the platform named no address for it. @throws as `done`. */
  stream(delivery: Delivery): Promise<void>;
  /** The worker is not fit and ends. @throws HttpError after a few tries. */
  unhealthy(check: string, reason: string): Promise<void>;
  /** Told of every id from when it is taken until its result is delivered. */
  held(jobId: string): void;
  released(jobId: string): void;
  close(): Promise<void>;
}
