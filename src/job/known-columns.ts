import { StoreError } from '../base/errors.ts';

export type Values = Record<string, unknown>;

/** Writes to a table that may lack some columns: what is missing is told once, and left out from then on. */
export interface KnownColumns {
  /** Sends the values, and again without each column that the table turns out to lack. */
  write<T>(values: Values, send: (values: Values) => Promise<T>): Promise<T>;
  /** False once the table has turned out to lack it. */
  has(column: string): boolean;
}

export interface KnownColumnsOptions {
  table: string;
  warn: (message: string) => void;
  /** What it means that a column is missing; by default that it is not written. */
  consequences?: Readonly<Record<string, string>>;
}

export function knownColumns({ table, warn, consequences = {} }: KnownColumnsOptions): KnownColumns {
  const missing = new Set<string>();
  return {
    has: (column) => !missing.has(column),
    async write(values, send) {
      for (;;) {
        const known = Object.fromEntries(Object.entries(values).filter(([column]) => !missing.has(column)));
        try {
          return await send(known);
        } catch (error) {
          const column = missingColumn(error, Object.keys(known));
          if (column === undefined) throw error;
          missing.add(column);
          const consequence = consequences[column] ?? 'it is not written';
          warn(`${table} has no column ${column}: ${consequence}; apply supabase/migrations`);
        }
      }
    },
  };
}

/** Which of these columns the database says it does not have; undefined for any other error. */
function missingColumn(error: unknown, columns: readonly string[]): string | undefined {
  if (!(error instanceof StoreError) || error.code !== 'supabase_missing_column') return undefined;
  return columns.find((column) => new RegExp(`\\b${column}\\b`).test(error.message));
}
