import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { messageOf, StoppedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { withProcessLock } from '../model/hub/process-lock.ts';
import { PASSING_FOLDER } from '../training/backbone.ts';

/** What a run keeps on the disk while it lives: decoded pictures, checkpoints, the files that it will upload. */
export interface RunFolder extends AsyncDisposable {
  readonly path: string;
}

export interface RunFolderOptions {
  runId: string;
  /** Where the folders of all runs are. */
  root?: string | undefined;
  /** Asked when the folder is disposed of: the run goes on later, is over, or is over and asked for its folder to stay. */
  fate: () => 'goes_on' | 'over' | 'keep';
  /** Told where another process took the folder over, as this one had stood still for too long. */
  onLost: (reason: StoppedError) => void;
  log: Log;
  signal: AbortSignal;
}

const ROOT = join(tmpdir(), 'gpu-handlers-training');
/** Folders of other runs that nobody has touched for so long are of runs that will not come back to this machine. */
const ABANDONED_MS = 24 * 3_600_000;
const KEPT = 'kept';

/**
 * The run's folder, for this process alone: what an earlier process of the same run left in it, killed or stopped, is
 * there. Taken away when the run is over.
 */
export async function openRunFolder(options: RunFolderOptions): Promise<RunFolder> {
  const { runId, root = ROOT, fate, log, signal } = options;
  const path = join(root, runId);
  await mkdir(root, { recursive: true });
  const lock = await holdLock(`${path}.lock`, signal, () => {
    log.info('another process on this machine has the folder of this run; waiting for it to end');
  });
  const onLost = (): void => {
    options.onLost(
      new StoppedError('superseded', `another process has taken over the folder of run ${runId}`),
    );
  };
  lock.lost.addEventListener('abort', onLost, { once: true });
  try {
    await removeAbandoned(root, runId, log);
    await mkdir(path, { recursive: true });
    await rm(join(path, KEPT), { force: true });
    await removePassing(path);
    await utimes(path, new Date(), new Date());
  } catch (error) {
    await lock.release();
    throw error;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      lock.lost.removeEventListener('abort', onLost);
      const end = fate();
      if (end === 'keep') await writeFile(join(path, KEPT), '');
      if (end === 'over') await rm(path, { recursive: true, force: true });
      await lock.release();
    },
  };
}

/** Copies of the model that trainers of a killed process have left: nobody reads them any more. */
async function removePassing(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    if (name.startsWith(PASSING_FOLDER)) await rm(join(path, name), { recursive: true, force: true });
  }
}

async function holdLock(
  path: string,
  signal: AbortSignal,
  onWait: () => void,
): Promise<{ lost: AbortSignal; release: () => Promise<void> }> {
  const taken = Promise.withResolvers<AbortSignal>();
  const released = Promise.withResolvers<undefined>();
  const holding = withProcessLock(
    path,
    async (lost) => {
      taken.resolve(lost);
      await released.promise;
    },
    { signal, onWait },
  );
  holding.catch(taken.reject);
  return {
    lost: await taken.promise,
    release: async () => {
      released.resolve(undefined);
      await holding;
    },
  };
}

async function removeAbandoned(root: string, runId: string, log: Log): Promise<void> {
  for (const entry of await readdir(root, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === runId) continue;
    const path = join(root, entry.name);
    try {
      if (!(await isAbandoned(path))) continue;
      await rm(path, { recursive: true, force: true });
      await rm(`${path}.lock`, { force: true });
      log.info('removed what an earlier run left on the disk', { run: entry.name });
    } catch (error) {
      log.debug('the folder of an earlier run could not be removed', { error: messageOf(error) });
    }
  }
}

/** A process that lives keeps its lock file young; a kept folder stays. */
async function isAbandoned(path: string): Promise<boolean> {
  const files = [`${path}.lock`, path, join(path, 'pictures.jsonl')];
  const ages = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => Infinity,
      ),
    ),
  );
  if (Math.min(...ages) < ABANDONED_MS) return false;
  return stat(join(path, KEPT)).then(
    () => false,
    () => true,
  );
}
