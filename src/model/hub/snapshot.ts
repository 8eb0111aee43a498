import { realpath } from 'node:fs/promises';
import { basename, dirname, join, posix } from 'node:path';

import { ModelError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { weightLocations } from '../weight-locations.ts';
import { cachedCommit, isFile, repositoryIn } from './cache-layout.ts';
import { digestFile, isHash } from './hashes.ts';
import { readRecord, verifyRecord, writeRecord, type ModelRecord } from './record.ts';

/** Where a model is published. */
export interface ModelSource {
  repository: string;
  /** The graph's path in the repository. */
  file: string;
}

export interface LocalModel {
  /** The folder that stands for the repository at one commit. */
  root: string;
  graph: string;
}

export const PROCESSOR_FILE = 'preprocessor_config.json';

export interface SnapshotOptions {
  source: ModelSource;
  /** Without `preprocessor_config.json` the model counts as not all there. */
  needsProcessor: boolean;
  log: Log;
}

/**
 * The model as a cache of the hub's layout has it, checked: against the record of its first use, or against the
 * hashes by which the cache itself names its files, and then recorded where the cache can be written.
 * @returns The path of what is not there, where the model is not there or not whole.
 * @throws ModelError `model_changed` that names a file whose content is not what it was; `model_unreadable`.
 */
export async function findSnapshot(
  cacheDir: string,
  { source, needsProcessor, log }: SnapshotOptions,
): Promise<LocalModel | { missing: string }> {
  const repository = repositoryIn(cacheDir, source.repository);
  const commit = await cachedCommit(repository);
  if (commit === undefined) return { missing: repository.snapshots };
  const root = repository.snapshot(commit);
  const graph = join(root, source.file);
  const record = await readRecord(root);
  if (record?.files[source.file] !== undefined) {
    await verifyRecord(root, record);
    return { root, graph };
  }
  if (!(await isFile(graph))) return { missing: graph };
  const weights = await weightsOf(root, source.file);
  const hasProcessor = await isFile(join(root, PROCESSOR_FILE));
  const needed = [...weights, ...(needsProcessor ? [PROCESSOR_FILE] : [])].map((name) => join(root, name));
  const there = await Promise.all(needed.map(isFile));
  const missing = needed.find((_, i) => !there[i]);
  if (missing !== undefined) return { missing };
  const names = [source.file, ...weights, ...(hasProcessor ? [PROCESSOR_FILE] : [])];
  const files = await digestCached(root, names);
  await recordIfWritable(root, { repository: source.repository, commit, files }, log);
  return { root, graph };
}

/** Paths in the repository of the files that hold the graph's weights. */
export async function weightsOf(root: string, file: string): Promise<string[]> {
  const locations = await weightLocations(join(root, file));
  return locations.map((location) => posix.join(posix.dirname(file), location.replaceAll('\\', '/')));
}

async function digestCached(root: string, names: readonly string[]): Promise<ModelRecord['files']> {
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(root, name);
      const real = await realpath(path);
      const named =
        basename(dirname(real)) === 'blobs' && isHash(basename(real)) ? basename(real) : undefined;
      const { sha256, asPromised, size } = await digestFile(real, named);
      if (named !== undefined && asPromised !== named) {
        throw new ModelError(
          'model_changed',
          `${path} is not what the hub gave: its content has the hash ${asPromised}, its name in the cache is ${named}`,
        );
      }
      return [name, { sha256, size }] as const;
    }),
  );
  return Object.fromEntries(files);
}

async function recordIfWritable(root: string, record: ModelRecord, log: Log): Promise<void> {
  try {
    await writeRecord(root, record);
  } catch (error) {
    if (error instanceof ModelError) throw error;
    // The platform's folder is read-only: its files are checked by their names each time.
    log.debug('The model’s files are not recorded: their folder cannot be written', { folder: root });
  }
}
