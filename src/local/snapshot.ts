import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';

/**
 * A fresh database takes some three seconds to make and less than one to load. So the first one is kept, beside the
 * packages that made it, named after `schema` (all SQL that went into it) and those packages' version. It is only ever
 * a saving: whatever goes wrong with it, the database is made anew.
 */
export async function readSnapshot(name: string, schema: string): Promise<Blob | undefined> {
  try {
    const bytes = await promisify(zstdDecompress)(await readFile(snapshotFile(name, schema)));
    return new Blob([bytes]);
  } catch {
    return undefined;
  }
}

export async function writeSnapshot(name: string, schema: string, dump: () => Promise<Blob>): Promise<void> {
  try {
    const file = snapshotFile(name, schema);
    const draft = `${file}.${String(process.pid)}.${String(performance.now())}`;
    await mkdir(dirname(file), { recursive: true });
    const bytes = new Uint8Array(await (await dump()).arrayBuffer());
    await writeFile(draft, await promisify(zstdCompress)(bytes));
    await rename(draft, file).catch(() => rm(draft, { force: true }));
  } catch {
    // A folder that cannot be written to: the next start takes as long as this one.
  }
}

function snapshotFile(name: string, schema: string): string {
  const packageFile = fileURLToPath(import.meta.resolve('@supabase/lite'));
  const hash = createHash('sha256')
    .update(schema)
    .update(readFileSync(packageFile))
    .digest('hex')
    .slice(0, 16);
  const modules = packageFile.slice(0, packageFile.lastIndexOf('node_modules') + 'node_modules'.length);
  return join(modules, '.cache', 'gpu-handlers', `${name}-${hash}.tar.zst`);
}
