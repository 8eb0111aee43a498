import { randomUUID } from 'node:crypto';
import { mkdir, readFile, readlink, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';

import { HandlerError } from '../../base/errors.ts';
import { every, sleep } from '../../flow/time.ts';

export interface ProcessLockOptions {
  signal?: AbortSignal | undefined;
  /** Called once, when somebody else holds the lock. */
  onWait?: () => void;
}

/** Well below the time after which a holder counts as dead, so that a slow disk takes no lock away. */
const HEARTBEAT_MS = 2_000;
const STALE_MS = 30_000;
const POLL_MS = 100;

interface Holder {
  id: string;
  pid: number;
  /** When that process began, in milliseconds: ids are used again, in a container nearly always. */
  begun: number;
  /** Where that process id means something: a host, and on Linux its id space in this run of the machine. */
  place: string;
}

/**
 * Runs the task while this process, and no other one that can see the file, holds the lock. A holder that died (its
 * process is gone, or it has given no sign for 30 seconds) loses it to the next. The task's signal aborts when the
 * caller's does, or when the lock was lost all the same (this process had stopped for so long).
 */
export async function withProcessLock<T>(
  path: string,
  task: (signal: AbortSignal) => Promise<T>,
  { signal, onWait }: ProcessLockOptions = {},
): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const mine: Holder = {
    id: randomUUID(),
    pid: process.pid,
    begun: Math.round(performance.timeOrigin),
    place: await thisPlace(),
  };
  for (let tries = 0; !(await take(path, mine)); tries += 1) {
    if (tries === 0) onWait?.();
    await sleep(POLL_MS, signal);
  }
  const lost = new AbortController();
  const heartbeat = every(
    HEARTBEAT_MS,
    async () => {
      if ((await holderOf(path))?.id !== mine.id) throw lostLock(path);
      await utimes(path, new Date(), new Date());
    },
    (error) => {
      lost.abort(error instanceof HandlerError ? error : lostLock(path));
    },
  );
  try {
    return await task(signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]));
  } finally {
    await heartbeat.stop();
    if ((await holderOf(path))?.id === mine.id) await rm(path, { force: true });
  }
}

async function take(path: string, mine: Holder): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(mine), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    await clearIfDead(path, mine);
    return false;
  }
}

/** Takes a dead holder's file away. Renamed first: of several that see it dead, one gets it. */
async function clearIfDead(path: string, mine: Holder): Promise<void> {
  const holder = await holderOf(path);
  if (holder === undefined || !(await isDead(path, holder, mine))) return;
  const grave = `${path}.${randomUUID()}`;
  try {
    await rename(path, grave);
  } catch {
    return;
  }
  const buried = await readFile(grave, 'utf8').catch(() => '');
  await rm(grave, { force: true });
  // In between the dead one's file may have been cleared and a living one's put in its place: give that back.
  if (parseHolder(buried).id !== holder.id) {
    await writeFile(path, buried, { flag: 'wx' }).catch(() => undefined);
  }
}

async function isDead(path: string, holder: Holder, mine: Holder): Promise<boolean> {
  if (holder.place === mine.place && !isAlive(holder, mine)) return true;
  const seen = await stat(path).catch(() => undefined);
  return seen !== undefined && Date.now() - seen.mtimeMs > STALE_MS;
}

function isAlive(holder: Holder, mine: Holder): boolean {
  if (holder.pid === mine.pid) return holder.begun === mine.begun;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

async function holderOf(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseHolder(text);
}

/** A file that is just being written, or that its writer did not finish, tells by its age alone. */
function parseHolder(text: string): Holder {
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return { id: text, pid: 0, begun: 0, place: '' };
  }
}

async function thisPlace(): Promise<string> {
  const [boot, ids] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
    readlink('/proc/self/ns/pid').catch(() => ''),
  ]);
  return [hostname(), boot.trim(), ids].join(' ');
}

function lostLock(path: string): HandlerError {
  return new HandlerError('lock_lost', `another process took over ${path} while this one stood still`, {
    retryable: true,
  });
}
