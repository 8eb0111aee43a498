import type { Log } from '../base/log.ts';

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A span inside a job's: one for each stage, however many items went through it. */
export interface PartSpan {
  name: string;
  /** Milliseconds since 1970. */
  startMs: number;
  endMs: number;
  attributes: SpanAttributes;
}

/** A job that has ended. */
export interface JobSpan extends PartSpan {
  /** Set where the job failed. */
  error?: { code: string; message: string };
  parts: readonly PartSpan[];
}

export interface JobSpans {
  /**
   * Delivers the span of a job with those of its parts. Waits for the collector for a bounded time, and not at all where
   * it did not answer the last time. Never rejects.
   */
  record(span: JobSpan, log: Log): Promise<void>;
}
