import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { HandlerError, isError } from '../base/errors.ts';

const LOCK_FILE = 'in-use.json';

interface Holder {
  pid: number;
  /** When that process began, in milliseconds: ids are used again, in a container nearly always. */
  begun: number;
}

/**
 * Keeps a folder for this process until it is disposed of: Postgres does not notice a second one on its files, and
 * destroys them. What a process left that has died is taken over.
 * @throws HandlerError `folder_in_use`
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, LOCK_FILE);
  const mine: Holder = { pid: process.pid, begun: Math.round(performance.timeOrigin) };
  if (!(await write(file, mine))) {
    const holder = await readHolder(file);
    if (holder !== undefined && isAlive(holder, mine)) throw inUse(folder, holder);
    await rm(file, { force: true });
    // Somebody else may have seen the same dead one, and been faster.
    if (!(await write(file, mine))) throw inUse(folder, await readHolder(file));
  }
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
}

async function write(file: string, holder: Holder): Promise<boolean> {
  try {
    await writeFile(file, JSON.stringify(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if (isError(error) && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Undefined for a file that its writer did not finish. */
async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder, mine: Holder): boolean {
  if (holder.pid === mine.pid) return holder.begun === mine.begun;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    // Another user's process may not be signalled, and lives.
    return isError(error) && 'code' in error && error.code === 'EPERM';
  }
}

function inUse(folder: string, holder: Holder | undefined): HandlerError {
  const who = holder === undefined ? 'another process' : `the process ${String(holder.pid)}`;
  return new HandlerError(
    'folder_in_use',
    `${who} keeps a local cloud in ${folder}: stop it, or use another folder (if it is none of yours, delete ${LOCK_FILE} there)`,
  );
}
