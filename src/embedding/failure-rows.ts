import { z } from 'zod';

import { messageOf, StoppedError, StoreError } from '../base/errors.ts';
import { storableText } from '../base/storable-text.ts';
import { abortable } from '../flow/time.ts';
import type { Database, Filter } from '../supabase/database.ts';
import type { Failure } from './tally.ts';

export interface FailureRows {
  /** Forgets what an earlier run of the job left: its images are tried again. */
  clear(): Promise<void>;
  add(failure: Failure): void;
  /** Resolves when everything added so far is written, or was given up with a warning; at the signal at the latest. */
  flush(signal: AbortSignal): Promise<void>;
  /** Nothing is written any more. */
  stop(): void;
}

export interface FailureRowsOptions {
  database: Database;
  jobId: string;
  /** The lease of this run on the job's row; undefined where there is none. */
  lease: () => string | undefined;
  warn: (message: string) => void;
}

const ROWS_PER_WRITE = 200;
/** Part of a unique index, whose entries have 2,704 bytes at most: whoever has longer ids sees their beginning. */
const IMAGE_ID_CHARS = 300;
const TABLE = 'embedding_job_failures';
const FUNCTION = 'record_job_failures';

type Row = Record<string, unknown>;

/**
 * Keeps every failed image in a table of ours, so that a failed part can be looked at and run again. Optional. Of two
 * runs of a job only the later writes: the database sees to it with every write, whenever it arrives.
 */
export function createFailureRows({ database, jobId, lease, warn }: FailureRowsOptions): FailureRows {
  const stopped = new AbortController();
  const { signal } = stopped;
  let waiting: Failure[] = [];
  let writing = Promise.resolve();
  let absent = false;
  let hasFunction = true;

  /** A table that is not there, or refuses, never fails a job. */
  const tolerate = (what: string, error: unknown): void => {
    if (signal.aborted) return;
    absent = error instanceof StoreError && error.code === 'supabase_missing_table';
    warn(
      absent
        ? `the database lacks the table ${TABLE}: failed images are told in the output alone`
        : `${what}: ${messageOf(error)}`,
    );
  };

  const recordUnguarded = async (rows: readonly Row[], anew: boolean): Promise<void> => {
    if (anew) {
      const filters: Filter[] = [{ column: 'job_id', op: 'eq', value: jobId }];
      await database.remove({ table: TABLE, filters, signal });
    }
    await database.upsert({
      table: TABLE,
      onConflict: 'job_id,collection,image_id,url',
      rows: rows.map((row) => ({ job_id: jobId, ...row })),
      signal,
    });
  };

  const record = async (rows: readonly Row[], anew = false): Promise<void> => {
    const held = lease();
    if (held === undefined || !hasFunction) return recordUnguarded(rows, anew);
    try {
      await database.call({
        name: FUNCTION,
        args: { failed_job: jobId, lease: held, failures: rows, anew },
        schema: z.number(),
        signal,
      });
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'supabase_missing_function') throw error;
      hasFunction = false;
      warn(
        `the database lacks the function ${FUNCTION}: failures of a run that was taken over may stay beside the later ` +
          "run's; apply the migrations",
      );
      return recordUnguarded(rows, anew);
    }
  };

  const write = async (rows: readonly Row[]): Promise<void> => {
    if (absent || signal.aborted || rows.length === 0) return;
    try {
      await record(rows);
    } catch (error) {
      tolerate(`${rows.length} failed images could not be written to ${TABLE}`, error);
    }
  };

  const send = (): Promise<void> => {
    const rows = waiting.map(rowOf);
    waiting = [];
    // A row may come once in an upsert.
    const unique = new Map(rows.map((row) => [JSON.stringify([row.collection, row.image_id, row.url]), row]));
    writing = writing.then(() => write([...unique.values()]));
    return writing;
  };

  return {
    async clear() {
      try {
        await record([], true);
      } catch (error) {
        tolerate(`${TABLE} could not be cleared of the job's last run`, error);
      }
    },
    add(failure) {
      if (absent) return;
      waiting.push(failure);
      if (waiting.length >= ROWS_PER_WRITE) void send();
    },
    async flush(limit) {
      try {
        await abortable(send(), limit);
      } catch {
        warn(`not all failed images could be written to ${TABLE} in time`);
      }
    },
    stop() {
      stopped.abort(new StoppedError('shutdown', 'the job is over'));
    },
  };
}

function rowOf(failure: Failure): Row {
  return {
    collection: failure.collection,
    image_id: storableText(failure.id, IMAGE_ID_CHARS),
    image_type: failure.type,
    url: failure.url,
    code: failure.code,
    message: failure.message,
    retryable: failure.retryable,
  };
}
