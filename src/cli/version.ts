import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Package {
  /** Its folder. */
  folder: string;
  version: string;
}

/** This package, found from here upwards: sources and `dist/` lie at different depths. */
export async function ownPackage(): Promise<Package> {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined);
    const about: unknown = text === undefined ? undefined : JSON.parse(text);
    if (about !== null && typeof about === 'object' && 'version' in about)
      return { folder, version: String(about.version) };
    if (folder === dirname(folder)) return { folder: '.', version: '0.0.0' };
  }
}
