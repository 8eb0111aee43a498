import { messageOf, StoreError } from '../base/errors.ts';
import { abortable } from '../flow/time.ts';
import type { Database } from '../supabase/database.ts';
import type { Failure } from './tally.ts';

export interface FailureRows {
  /** Forgets what an earlier run of the job left: its images are tried again. */
  clear(): Promise<void>;
  add(failure: Failure): void;
  /** Resolves when everything added so far is written, or was given up with a warning; at the signal at the latest. */
  flush(signal: AbortSignal): Promise<void>;
}

const ROWS_PER_WRITE = 200;
const TABLE = 'embedding_job_failures';

/** Keeps every failed image in a table of ours, so that a failed part can be looked at and run again. Optional. */
export function createFailureRows(
  database: Database,
  jobId: string,
  warn: (message: string) => void,
): FailureRows {
  let waiting: Failure[] = [];
  let writing = Promise.resolve();
  let absent = false;

  /** A table that is not there, or refuses, never fails a job. */
  const tolerate = (what: string, error: unknown): void => {
    absent = error instanceof StoreError && error.code === 'supabase_missing_table';
    warn(
      absent
        ? `the database lacks the table ${TABLE}: failed images are told in the output alone`
        : `${what}: ${messageOf(error)}`,
    );
  };

  const write = async (failures: readonly Failure[]): Promise<void> => {
    if (absent || failures.length === 0) return;
    try {
      await database.upsert({
        table: TABLE,
        onConflict: 'job_id,collection,image_id,url',
        rows: failures.map((f) => ({
          job_id: jobId,
          collection: f.collection,
          image_id: f.id,
          image_type: f.type,
          url: f.url,
          code: f.code,
          message: f.message,
          retryable: f.retryable,
        })),
      });
    } catch (error) {
      tolerate(`${failures.length} failed images could not be written to ${TABLE}`, error);
    }
  };

  const send = (): Promise<void> => {
    const failures = waiting;
    waiting = [];
    // A row may come once in an upsert.
    const unique = new Map(failures.map((f) => [JSON.stringify([f.collection, f.id, f.url]), f]));
    writing = writing.then(() => write([...unique.values()]));
    return writing;
  };

  return {
    async clear() {
      try {
        await database.remove({ table: TABLE, filters: [{ column: 'job_id', op: 'eq', value: jobId }] });
      } catch (error) {
        tolerate(`${TABLE} could not be cleared of the job's last run`, error);
      }
    },
    add(failure) {
      if (absent) return;
      waiting.push(failure);
      if (waiting.length >= ROWS_PER_WRITE) void send();
    },
    async flush(signal) {
      try {
        await abortable(send(), signal);
      } catch {
        warn(`not all failed images could be written to ${TABLE} in time`);
      }
    },
  };
}
