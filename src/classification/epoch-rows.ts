import { HandlerError, messageOf, StoreError } from '../base/errors.ts';
import { abortable } from '../flow/time.ts';
import { timeLimit } from '../flow/time-limit.ts';
import { knownColumns } from '../job/known-columns.ts';
import type { Database } from '../supabase/database.ts';
import type { EpochRow } from './epoch-row.ts';

/** Rows of `training_metrics_history`. They never fail a run, and never hold it up. */
export interface EpochRows {
  /** Forgets what an earlier attempt at the run has written of later epochs than this. */
  clearAfter(epoch: number): Promise<void>;
  add(row: EpochRow): void;
  /** Resolves when everything added so far is written, or was given up with a warning; at the signal at the latest. */
  flush(signal: AbortSignal): Promise<void>;
}

const TABLE = 'training_metrics_history';
const TRAINING_TYPE = 'cls';
/** A row that is not taken in this time goes with the next one. */
const WRITE_MS = 20_000;

export function createEpochRows(
  database: Database,
  runId: string,
  warn: (message: string) => void,
): EpochRows {
  const columns = knownColumns({ table: TABLE, warn });
  let waiting: EpochRow[] = [];
  let writing = Promise.resolve();
  let why = '';
  let absent = false;

  const tolerate = (error: unknown): void => {
    why = messageOf(error);
    if (!(error instanceof StoreError) || error.code !== 'supabase_missing_table' || absent) return;
    absent = true;
    waiting = [];
    warn(`the database lacks the table ${TABLE}: the course of the training is told in the report alone`);
  };

  const write = async (row: EpochRow, signal: AbortSignal): Promise<void> => {
    const values = { training_run_id: runId, training_type: TRAINING_TYPE, ...row };
    await columns.write(values, (known) =>
      database.upsert({
        table: TABLE,
        rows: [known],
        onConflict: 'training_run_id,training_type,epoch',
        signal,
      }),
    );
  };

  const send = async (): Promise<void> => {
    using limit = timeLimit(
      WRITE_MS,
      undefined,
      () => new HandlerError('timeout', `no answer in ${WRITE_MS} ms`),
    );
    try {
      for (let row = waiting[0]; row !== undefined; row = waiting[0]) {
        await write(row, limit.signal);
        waiting.shift();
      }
    } catch (error) {
      tolerate(error);
    }
  };

  return {
    async clearAfter(epoch) {
      try {
        await database.remove({
          table: TABLE,
          filters: [
            { column: 'training_run_id', op: 'eq', value: runId },
            { column: 'training_type', op: 'eq', value: TRAINING_TYPE },
            { column: 'epoch', op: 'gt', value: epoch },
          ],
        });
      } catch (error) {
        tolerate(error);
        if (!absent) warn(`${TABLE} could not be cleared of the run's last attempt: ${why}`);
      }
    },
    add(row) {
      if (absent) return;
      waiting.push(row);
      writing = writing.then(send);
    },
    async flush(signal) {
      try {
        writing = writing.then(send);
        await abortable(writing, signal);
      } catch (error) {
        why ||= messageOf(error);
      }
      if (waiting.length > 0) warn(`${waiting.length} epochs could not be written to ${TABLE}: ${why}`);
    },
  };
}
