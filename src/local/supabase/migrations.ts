import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's own `supabase/migrations`, in the order of their names; found from here upwards: sources and `dist/` lie at different depths. */
export async function readMigrations(): Promise<string[]> {
  const folder = findUpwards(dirname(fileURLToPath(import.meta.url)), join('supabase', 'migrations'));
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
}

function findUpwards(from: string, path: string): string {
  const here = join(from, path);
  if (existsSync(here)) return here;
  const parent = dirname(from);
  if (parent === from) throw new Error(`${path} is not part of this installation`);
  return findUpwards(parent, path);
}
