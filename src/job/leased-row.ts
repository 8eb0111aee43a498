import { randomUUID } from 'node:crypto';

import { z } from 'zod';

import type { Database, Filter } from '../supabase/database.ts';
import { knownColumns, type Values } from './known-columns.ts';

/**
 * Why a write changed nothing: the page has cancelled the job, or a later run of it has the row: one that the platform
 * started for another request of its own (`superseded`), or for the same one (`redelivered`).
 */
export type Stopped = 'cancelled' | 'superseded' | 'redelivered';

/** A row that one run of a job writes to, as long as no later run does. */
export interface LeasedRow<Row> {
  /** What the row's `lease_holder` is while it is this run's; undefined where there is no lease. */
  readonly lease: string | undefined;
  read(signal?: AbortSignal): Promise<Row | undefined>;
  /**
   * The first write: from here on the row is this run's, whoever had it before. It carries a lease that each later
   * write asks for. A database without the column has no lease.
   */
  takeOver(values: Values): Promise<void>;
  /** Writes where this filter and the lease let it; otherwise says what stops the job, where anything does. */
  write(values: Values, filter: Filter, signal?: AbortSignal): Promise<Stopped | undefined>;
}

/** A schema whose keys are the columns to read. */
export type RowSchema<Row> = z.ZodType<Row> & { shape: object };

export interface LeasedRowOptions<Row> {
  database: Database;
  /** With the columns `id`, `status` and, optionally, `lease_holder`. */
  table: string;
  id: string;
  schema: RowSchema<Row>;
  /** The id by which the platform knows the job, where there is a platform. */
  requestId?: string;
  warn: (message: string) => void;
}

const LEASE = z.object({ lease_holder: z.string().nullable() });

/** Cancelled by the page: never written over. */
export const UNLESS_CANCELLED: Filter = { column: 'status', op: 'neq', value: 'cancelled' };

export function leaseRow<Row extends { status: string }>(options: LeasedRowOptions<Row>): LeasedRow<Row> {
  const { database, table, id, schema, requestId = '', warn } = options;
  const mine: Filter = { column: 'id', op: 'eq', value: id };
  const columns = knownColumns({
    table,
    warn,
    consequences: { lease_holder: 'two runs of one job would not know of each other' },
  });
  const holder = `${requestId}/${randomUUID()}`;
  const lease: Filter = { column: 'lease_holder', op: 'eq', value: holder };
  let held: Filter[] = [];

  const read = (signal?: AbortSignal): Promise<Row | undefined> =>
    database.find({ table, columns: Object.keys(schema.shape).join(','), schema, filters: [mine], signal });

  const supersededBy = async (signal?: AbortSignal): Promise<Stopped | undefined> => {
    if (held.length === 0) return undefined;
    const row = await database.find({
      table,
      columns: 'lease_holder',
      schema: LEASE,
      filters: [mine],
      signal,
    });
    if (row === undefined || row.lease_holder === holder) return undefined;
    const same = requestId !== '' && row.lease_holder?.startsWith(`${requestId}/`) === true;
    return same ? 'redelivered' : 'superseded';
  };

  const write = async (
    values: Values,
    filter: Filter,
    signal?: AbortSignal,
  ): Promise<Stopped | undefined> => {
    const filters = [mine, filter, ...held];
    const changed = await columns.write(values, (known) =>
      database.update({ table, values: known, filters, signal }),
    );
    if (changed > 0) return undefined;
    if ((await read(signal))?.status === 'cancelled') return 'cancelled';
    return supersededBy(signal);
  };

  return {
    get lease() {
      return held.length > 0 ? holder : undefined;
    },
    read,
    write,
    async takeOver(values) {
      // Nothing of an earlier run is asked for: the later one has the job.
      await write({ ...values, lease_holder: holder }, UNLESS_CANCELLED);
      if (columns.has('lease_holder')) held = [lease];
    },
  };
}
