import { z } from 'zod';

import { StoreError } from '../../base/errors.ts';
import { knownColumns, type Values } from '../../job/known-columns.ts';
import type { Database, Filter } from '../../supabase/database.ts';
import { BEFORE, END_STATES, SUBMITTED, type EndState, type RunKind } from './run-kinds.ts';

const RUN = z.object({
  id: z.string(),
  status: z.string(),
  created_at: z.string(),
  completed_at: z.string().nullable(),
  runpod_job_id: z.string().nullable(),
  /** Ours: null where another program has submitted the run, absent where the database lacks the column. */
  runpod_endpoint_id: z.string().nullish(),
  /** Of a shard: the run that it is a part of, and which part. */
  parent_job_id: z.string().nullish(),
  shard_index: z.number().nullish(),
  /** Of a run that is divided, which has no job of its own. */
  shard_count: z.number().nullish(),
});
export type Run = z.infer<typeof RUN>;

/** What ends a run, and what else its row is to say then. */
export interface RunEnd {
  state: EndState;
  error?: string | undefined;
  values?: Values;
}

/**
 * The rows of one kind of runs. A write that changes a state asks for the state that it may change: what a worker has
 * written meanwhile stands, and a state that ends a run is never taken back.
 */
export interface RunRows {
  readonly kind: RunKind;
  /** Adds rows with the same columns in one statement, before anything is submitted. */
  add(rows: readonly Values[]): Promise<void>;
  find(id: string, signal?: AbortSignal): Promise<Run | undefined>;
  /** Pages of runs that have not ended. */
  unfinished(signal?: AbortSignal): AsyncGenerator<Run[]>;
  /** Pages of runs of this endpoint that ended since then and of which no result was kept: those with a job, or wholes. */
  withoutResult(
    which: { endpointId: string; since: Date; wholes?: boolean },
    signal?: AbortSignal,
  ): AsyncGenerator<Run[]>;
  /** Pages of the shards of a run. */
  shardsOf(id: string, signal?: AbortSignal): AsyncGenerator<Run[]>;
  /** False where the database lacks what shards need. */
  canDivide(): Promise<boolean>;
  /** Writes the id that RunPod gave; the state too, unless a worker was faster. */
  submitted(id: string, runpodJobId: string): Promise<void>;
  /** False where the run has ended otherwise, or was submitted anew (its id is another one). */
  end(run: Pick<Run, 'id' | 'runpod_job_id'>, end: RunEnd): Promise<boolean>;
  /** As `end`, for runs that were never submitted. False where that is none of them. */
  endUnsubmitted(id: string | readonly string[], error: string): Promise<boolean>;
  /** Cancels the shards of a run that have not ended. */
  cancelShards(id: string): Promise<void>;
  /** A shard that has ended is as it was before it was submitted. False where it has not, or not any more. */
  takeBack(shard: Run): Promise<boolean>;
  /** False where a result is kept already, the run was submitted anew, or the database lacks the column. */
  keepResult(run: Pick<Run, 'id' | 'runpod_job_id'>, result: Values): Promise<boolean>;
}

export interface RunRowsOptions {
  database: Database;
  kind: RunKind;
  warn: (message: string) => void;
}

/** As the page shows it. */
const ERROR_CHARS = 1_000;
const CONSTRAINT = 'supabase_constraint';

export function openRunRows({ database, kind, warn }: RunRowsOptions): RunRows {
  const { table } = kind;
  const columns = knownColumns({
    table,
    warn,
    consequences: {
      runpod_endpoint_id: 'runs that RunPod has forgotten are left as they are',
      ...Object.fromEntries(kind.more.map((column) => [column, 'runs cannot be divided'])),
    },
  });
  const all: Values = Object.fromEntries([...COLUMNS, ...kind.more].map((column) => [column, true]));
  let keepsResults = true;
  /** For what asks for the column of results, which a database may lack. */
  const missingResult = (error: unknown): void => {
    if (!(error instanceof StoreError) || error.code !== 'supabase_missing_column') throw error;
    if (keepsResults) warn(`${table} lacks a column: results are not kept; apply supabase/migrations`);
    keepsResults = false;
  };
  /** Reads the columns that the database has. */
  const reading = <T>(read: (columns: string) => Promise<T>): Promise<T> =>
    columns.write(all, (known) => read(Object.keys(known).join(',')));
  const isShardOf = (id: string): Filter => ({ column: 'parent_job_id', op: 'eq', value: id });
  const idIs = (id: string): Filter => ({ column: 'id', op: 'eq', value: id });
  const jobIs = (id: string | null): Filter =>
    id === null
      ? { column: 'runpod_job_id', op: 'is_null' }
      : { column: 'runpod_job_id', op: 'eq', value: id };
  const hasEnded: Filter = { column: 'status', op: 'in', value: END_STATES };
  const isUnfinished: Filter = { column: 'status', op: 'in', value: kind.unfinished };
  const update = (values: Values, filters: readonly Filter[]): Promise<number> =>
    columns.write(values, (known) => database.update({ table, values: known, filters }));

  const ended = ({ state, error, values = {} }: RunEnd): Values => ({
    ...values,
    status: state,
    completed_at: new Date().toISOString(),
    error_message: error?.slice(0, ERROR_CHARS) ?? null,
  });

  async function* pages(filters: readonly Filter[], signal?: AbortSignal): AsyncGenerator<Run[]> {
    const wanted = await reading(async (known) => {
      // Which columns there are is known once a read has gone well.
      await database.find({ table, columns: known, schema: z.unknown(), filters, signal });
      return known;
    });
    yield* database.pages({ table, columns: wanted, schema: RUN, filters, signal });
  }

  return {
    kind,
    add: (rows) =>
      columns.write(rows[0] ?? {}, (known) =>
        addGivingWay(
          rows.map((row) => Object.fromEntries(Object.keys(known).map((column) => [column, row[column]]))),
          (some) => upsert(database, table, some),
          warn,
        ),
      ),
    find: (id, signal) =>
      reading((known) => database.find({ table, columns: known, schema: RUN, filters: [idIs(id)], signal })),
    unfinished: (signal) => pages([isUnfinished], signal),
    async *withoutResult({ endpointId, since, wholes = false }, signal) {
      const filters: Filter[] = [
        { column: 'runpod_endpoint_id', op: 'eq', value: endpointId },
        { column: 'completed_at', op: 'gte', value: since.toISOString() },
        { column: wholes ? 'shard_count' : 'runpod_job_id', op: 'not_null' },
        { column: 'result', op: 'is_null' },
      ];
      if (!keepsResults || (wholes && !kind.more.every((column) => columns.has(column)))) return;
      try {
        yield* pages(filters, signal);
      } catch (error) {
        missingResult(error);
      }
    },
    shardsOf: (id, signal) => pages([isShardOf(id)], signal),
    async canDivide() {
      if (kind.more.length === 0) return false;
      await reading((known) => database.find({ table, columns: known, schema: z.unknown(), filters: [] }));
      return kind.more.every((column) => columns.has(column));
    },
    async submitted(id, runpodJobId) {
      const before: Filter = { column: 'status', op: 'eq', value: BEFORE };
      const values = { runpod_job_id: runpodJobId };
      if ((await update({ ...values, status: SUBMITTED }, [idIs(id), before])) > 0) return;
      await update(values, [idIs(id)]);
    },
    async end({ id, runpod_job_id: jobId }, end) {
      return (await update(ended(end), [idIs(id), isUnfinished, jobIs(jobId)])) > 0;
    },
    async endUnsubmitted(id, error) {
      const before: Filter = { column: 'status', op: 'eq', value: BEFORE };
      const these: Filter = typeof id === 'string' ? idIs(id) : { column: 'id', op: 'in', value: id };
      return (await update(ended({ state: 'failed', error }), [these, before])) > 0;
    },
    async cancelShards(id) {
      await update(ended({ state: 'cancelled' }), [isShardOf(id), isUnfinished]);
    },
    async takeBack({ id, parent_job_id: whole }) {
      const values = {
        status: BEFORE,
        runpod_job_id: null,
        error_message: null,
        completed_at: null,
        result: null,
        shard_filled: null,
        // A worker that was given up for dead, and is not, stops at its next write.
        lease_holder: null,
        // Whoever looks after runs counts from here.
        created_at: new Date().toISOString(),
      };
      if ((await update(values, [idIs(id), hasEnded])) === 0) return false;
      await update({ result: null }, [idIs(whole ?? '')]);
      return true;
    },
    async keepResult({ id, runpod_job_id: jobId }, result) {
      const none: Filter = { column: 'result', op: 'is_null' };
      const filters = [idIs(id), jobIs(jobId), hasEnded, none];
      if (!keepsResults) return false;
      try {
        return (await database.update({ table, values: { result }, filters })) > 0;
      } catch (error) {
        missingResult(error);
        return false;
      }
    },
  };
}

const COLUMNS = ['id', 'status', 'created_at', 'completed_at', 'runpod_job_id', 'runpod_endpoint_id'];

/** An upsert of ids that nobody else has: it may be sent twice. */
function upsert(database: Database, table: string, rows: readonly Values[]): Promise<void> {
  return database.upsert({ table, rows, onConflict: 'id' });
}

/** Databases with narrower checks: what they refuse is left out, column by column, and told. */
const GIVE_WAY: Readonly<Record<string, readonly string[]>> = {
  '23514': ['purpose'],
  '23503': ['embedding_model_id'],
};

async function addGivingWay(
  rows: readonly Values[],
  add: (rows: readonly Values[]) => Promise<void>,
  warn: (message: string) => void,
): Promise<void> {
  for (let current = rows; ;) {
    try {
      await add(current);
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== CONSTRAINT) throw error;
      const column = GIVE_WAY[error.storeCode ?? '']?.find((key) =>
        current.some((row) => row[key] !== undefined),
      );
      if (column === undefined) throw error;
      warn(`the row of the run is written without ${column}: ${error.message}`);
      current = current.map(({ [column]: _, ...rest }) => rest);
    }
  }
}
