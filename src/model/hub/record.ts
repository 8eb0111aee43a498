import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { ModelError } from '../../base/errors.ts';
import { digestFile } from './hashes.ts';

/** Beside a model: what its files were when they came. */
const RECORD_FILE = 'gpu-handlers.lock.json';

const RECORD = z.object({
  repository: z.string(),
  commit: z.string(),
  /** By path in the repository. */
  files: z.record(z.string(), z.object({ sha256: z.string(), size: z.number() })),
});

export type ModelRecord = z.infer<typeof RECORD>;

/**
 * What is recorded in this folder; undefined where nothing is.
 * @throws ModelError `model_changed` for a record that cannot be read.
 */
export async function readRecord(folder: string): Promise<ModelRecord | undefined> {
  const path = join(folder, RECORD_FILE);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return RECORD.parse(JSON.parse(text));
  } catch (cause) {
    const message = `${path}, which records what the model's files were, cannot be read: remove it to accept them as they are`;
    throw new ModelError('model_changed', message, { cause });
  }
}

/** Whole or not at all. What other files of the same commit were stays recorded. */
export async function writeRecord(folder: string, record: ModelRecord): Promise<void> {
  const before = await readRecord(folder);
  const files = before?.commit === record.commit ? { ...before.files, ...record.files } : record.files;
  const path = join(folder, RECORD_FILE);
  const unfinished = `${path}.${randomUUID()}`;
  try {
    await writeFile(unfinished, `${JSON.stringify({ ...record, files }, null, 2)}\n`, { flag: 'wx' });
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** @throws ModelError `model_changed` that names the first file whose content is no longer what was recorded. */
export async function verifyRecord(folder: string, record: ModelRecord): Promise<void> {
  const found = await Promise.all(
    Object.entries(record.files).map(async ([name, recorded]) => {
      const path = join(folder, name);
      const now = await digestFile(path).catch(() => undefined);
      return { path, recorded, now };
    }),
  );
  const changed = found.find(
    ({ recorded, now }) => now?.sha256 !== recorded.sha256 || now.size !== recorded.size,
  );
  if (changed === undefined) return;
  const { path, recorded, now } = changed;
  const is =
    now === undefined ? 'is gone or cannot be read' : `has ${String(now.size)} bytes, sha256 ${now.sha256}`;
  throw new ModelError(
    'model_changed',
    `${path} ${is}, but was recorded with ${String(recorded.size)} bytes, sha256 ${recorded.sha256} ` +
      `(${record.repository} at ${record.commit}): remove ${folder} and let it be fetched again, ` +
      `or remove ${RECORD_FILE} in it to accept the files as they are`,
  );
}
