import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What the migrations make, by the file that makes it. */
export interface Migration {
  file: string;
  tables: Readonly<Record<string, readonly string[]>>;
  functions: readonly string[];
}

/** Reads what the package's migrations add: the files are its own, and written alike. */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).toSorted();
  return Promise.all(
    files.map(async (file) => ({ file, ...read(await readFile(join(folder, file), 'utf8')) })),
  );
}

const NO_COLUMN = new Set(['primary', 'unique', 'constraint', 'check', 'foreign', 'exclude']);

function read(sql: string): Omit<Migration, 'file'> {
  const tables = new Map<string, Set<string>>();
  const add = (table: string, column: string): void => {
    tables.set(table, (tables.get(table) ?? new Set()).add(column));
  };
  const text = sql.replace(/--[^\n]*/g, '');
  for (const [, table = '', body = ''] of text.matchAll(
    /create table if not exists public\.(\w+) \(\n(.*?)\n\);/gs,
  )) {
    // Two blanks before each: deeper lines go on with the one above.
    for (const [, word = ''] of body.matchAll(/^ {2}(\w+)/gm)) if (!NO_COLUMN.has(word)) add(table, word);
  }
  for (const [, table = '', rest = ''] of text.matchAll(
    /alter table (?:if exists )?public\.(\w+)\b(.*?);/gs,
  )) {
    for (const [, column = ''] of rest.matchAll(/add column if not exists (\w+)/g)) add(table, column);
  }
  const functions = [...text.matchAll(/create or replace function public\.(\w+)\(/g)].map(
    ([, name = '']) => name,
  );
  return {
    tables: Object.fromEntries([...tables].map(([table, columns]) => [table, [...columns]])),
    functions,
  };
}
