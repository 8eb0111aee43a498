import { join } from 'node:path';

import { z } from 'zod';

import { StoreError } from '../../base/errors.ts';
import { mapConcurrent } from '../../flow/streams.ts';
import { createDatabase, type Database } from '../../supabase/database.ts';
import { ownPackage } from '../version.ts';
import { failed, type Finding, type Patient } from './finding.ts';
import { readMigrations } from './migrations.ts';

const CHECK = 'supabase';
const ADVICE = {
  supabase_unreachable: 'check SUPABASE_URL, and whether the project is paused',
  supabase_timeout: 'check SUPABASE_URL, and whether the project is paused',
  supabase_unauthorized: "SUPABASE_SERVICE_ROLE_KEY must be this project's service role (secret) key",
  supabase_rejected: 'is SUPABASE_URL the address of a Supabase project, as https://PROJECT.supabase.co?',
};
const APPLY = 'apply supabase/migrations: supabase db push, or paste them into the SQL editor in order';
/** Migrations from here on add what this package can do without. */
const FIRST_OF_OURS = '20260101000004';
/** And so are these, in an earlier one. */
const OURS = new Set(['embedding_job_failures']);
const ASKED_AT_ONCE = 4;

/** Reached with this key, and what its tables lack. */
export async function checkSupabase({ settings, limits, signal }: Patient): Promise<Finding[]> {
  const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key } = settings;
  if (url === undefined || key === undefined) {
    const advice = 'set SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY; gpu-handlers local starts one to try';
    return [{ check: CHECK, status: 'failed', detail: 'is not set up', advice }];
  }
  const database = createDatabase({ url, key, ...limits });
  try {
    // Any answer will do; whether the table is there is told below.
    await database
      .find({ table: 'embedding_jobs', columns: 'id', schema: z.unknown(), signal })
      .catch(ifMissing);
    const lacking = await whatLacks(database, signal);
    return [{ check: CHECK, status: 'ok', detail: `${url} answers, and takes the key` }, ...lacking];
  } catch (error) {
    return [failed(CHECK, error, ADVICE)];
  }
}

interface Lack {
  what: string;
  /** Without it jobs run, and tell less. */
  isOurs: boolean;
}

async function whatLacks(database: Database, signal: AbortSignal): Promise<Finding[]> {
  const { folder } = await ownPackage();
  const migrations = await readMigrations(join(folder, 'supabase', 'migrations'));
  const tables = Object.entries(
    Object.groupBy(
      migrations.flatMap(({ file, tables: made }) =>
        Object.entries(made).map(([table, columns]) => ({ table, columns, isOurs: file >= FIRST_OF_OURS })),
      ),
      ({ table }) => table,
    ),
  );
  const lacks: Lack[] = [];
  const look = async ([table, parts = []]: (typeof tables)[number]): Promise<Lack[]> => {
    const ours = new Set(parts.flatMap(({ columns, isOurs }) => (isOurs ? columns : [])));
    const columns = [...new Set(parts.flatMap((part) => part.columns))];
    const missing = await missingIn(database, table, columns, signal);
    if (missing === undefined)
      return [{ what: table, isOurs: OURS.has(table) || parts.every(({ isOurs }) => isOurs) }];
    return missing.map((column) => ({ what: `${table}.${column}`, isOurs: ours.has(column) }));
  };
  for await (const some of mapConcurrent(tables, ASKED_AT_ONCE, look, { signal })) lacks.push(...some);
  return [
    ...finding(
      'tables',
      'failed',
      lacks.filter(({ isOurs }) => !isOurs),
    ),
    ...finding(
      'tables of this package',
      'warning',
      lacks.filter(({ isOurs }) => isOurs),
    ),
  ];
}

function finding(check: string, status: 'failed' | 'warning', lacks: readonly Lack[]): Finding[] {
  if (lacks.length === 0) return [{ check, status: 'ok', detail: 'are all there, with every column' }];
  return [{ check, status, detail: `lacks ${lacks.map(({ what }) => what).join(', ')}`, advice: APPLY }];
}

/** Columns that the table lacks; undefined where there is no such table. */
async function missingIn(
  database: Database,
  table: string,
  columns: readonly string[],
  signal: AbortSignal,
): Promise<string[] | undefined> {
  try {
    await database.find({ table, columns: columns.join(','), schema: z.unknown(), signal });
    return [];
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === 'supabase_missing_table') return undefined;
    if (error.code !== 'supabase_missing_column') throw error;
    const lacked = columns.find((column) => new RegExp(`\\b${column}\\b`).test(error.message));
    if (lacked === undefined) throw error;
    const rest = columns.filter((column) => column !== lacked);
    return [lacked, ...((await missingIn(database, table, rest, signal)) ?? [])];
  }
}

function ifMissing(error: unknown): void {
  if (!(error instanceof StoreError) || error.code !== 'supabase_missing_table') throw error;
}
