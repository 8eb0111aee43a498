import type { Log } from '../base/log.ts';

/** What a worker took from its queue. */
export interface Job<I = unknown> {
  id: string;
  input: I;
}

/** What a handler may use while it runs. */
export interface JobContext {
  /** The id by which the platform knows the job; the same in each of its runs. */
  requestId: string;
  /**
   * Aborted when the job is to stop (cancel, time-out, shutdown); its reason is a StoppedError that says which, and how
   * long the handler has to end by itself (`graceMs`).
   */
  signal: AbortSignal;
  /** Tells whoever submitted the job how far it is: any JSON value, the latest wins. Never throws, never waits. */
  progress: (value: unknown) => void;
  /** Every line carries the job's id. */
  log: Log;
}

/** One kind of job. What it returns is the job's output; what it throws, or an output with `error`, is its failure. */
export type Handler<I = unknown, O = unknown> = (job: Job<I>, context: JobContext) => Promise<O>;

/** A job that gives its output in pieces: an async generator. */
export type StreamHandler<I = unknown, O = unknown> = (job: Job<I>, context: JobContext) => AsyncIterable<O>;

/** What `serve` takes: a handler that returns, one that yields, or one that does not even wait. */
export type AnyHandler<I = unknown, O = unknown> = (
  job: Job<I>,
  context: JobContext,
) => O | Promise<O> | AsyncIterable<O>;
