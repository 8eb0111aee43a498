import { readdir, readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where the platform puts models that it keeps ready for its workers. */
export const PLATFORM_CACHE_DIR = '/runpod-volume/huggingface-cache/hub';

const COMMIT = /^[0-9a-f]{40}$/;

export interface CacheSettings {
  HF_HOME?: string | undefined;
  HF_HUB_CACHE?: string | undefined;
}

/** The hub's cache on this machine, found as the hub's own tools find it. */
export function cacheDirOf(settings: CacheSettings): string {
  if (settings.HF_HUB_CACHE !== undefined) return atHome(settings.HF_HUB_CACHE);
  if (settings.HF_HOME !== undefined) return join(atHome(settings.HF_HOME), 'hub');
  return join(homedir(), '.cache', 'huggingface', 'hub');
}

function atHome(path: string): string {
  return resolve(path.replace(/^~(?=\/|$)/, homedir()));
}

/** One repository in a cache: `models--{org}--{name}/{blobs,refs,snapshots/{commit}}`. */
export interface CachedRepository {
  blobs: string;
  /** Names the commit that `main` was. */
  mainRef: string;
  snapshots: string;
  snapshot(commit: string): string;
}

export function repositoryIn(cacheDir: string, repository: string): CachedRepository {
  const folder = join(cacheDir, folderName(repository));
  const snapshots = join(folder, 'snapshots');
  return {
    blobs: join(folder, 'blobs'),
    mainRef: join(folder, 'refs', 'main'),
    snapshots,
    snapshot: (commit) => join(snapshots, commit),
  };
}

export function folderName(repository: string): string {
  return `models--${repository.replaceAll('/', '--')}`;
}

export function isCommit(text: string | undefined): text is string {
  return text !== undefined && COMMIT.test(text);
}

/** The commit that the cache has as `main`; where it says nothing, that of its only snapshot. */
export async function cachedCommit({ mainRef, snapshots }: CachedRepository): Promise<string | undefined> {
  const main = (await readFile(mainRef, 'utf8').catch(() => '')).trim();
  if (isCommit(main)) return main;
  const [only, ...others] = (await readdir(snapshots).catch(() => [])).filter(isCommit);
  return others.length === 0 ? only : undefined;
}

export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
