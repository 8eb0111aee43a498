import { copyFile, link, rm } from 'node:fs/promises';

import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ArtefactStore } from './artefacts.ts';
import { CHECKPOINT_FILE } from './train/checkpoints.ts';

export interface CheckpointUploadsOptions {
  artefacts: Pick<ArtefactStore, 'put'>;
  /** Between two, beginning with the start of the run. */
  intervalMs?: number | undefined;
  log: Log;
  signal: AbortSignal;
}

/** A run's checkpoints on their way to where another machine finds them. None of it fails the run. */
export interface CheckpointUploads extends AsyncDisposable {
  /** A new checkpoint lies here: it is uploaded behind the training's back, if the last upload was long enough ago. */
  readonly offer: (path: string) => void;
  /** Uploads this one now, in the place of one that is under way. */
  last(path: string, signal: AbortSignal): Promise<void>;
}

/** What a run that is started elsewhere loses at most. */
const INTERVAL_MS = 10 * 60_000;

/** Disposing of it ends the upload under way: a later file of that name must not be overtaken by it. */
export function checkpointUploads(options: CheckpointUploadsOptions): CheckpointUploads {
  const { artefacts, intervalMs = INTERVAL_MS, log } = options;
  const over = new AbortController();
  const background = AbortSignal.any([over.signal, options.signal]);
  let next = performance.now() + intervalMs;
  let underWay: Promise<void> | undefined;

  const upload = async (path: string, signal: AbortSignal): Promise<void> => {
    const still = `${path}.upload`;
    try {
      await keepStill(path, still);
      const stored = await artefacts.put(CHECKPOINT_FILE, still, signal);
      if (stored !== undefined) log.info('[Checkpoint] stored in the bucket', { bytes: stored.bytes });
    } catch (error) {
      if (!signal.aborted)
        log.warn('the checkpoint could not be stored in the bucket', { error: messageOf(error) });
    } finally {
      await rm(still, { force: true });
    }
  };
  const stop = async (): Promise<void> => {
    over.abort();
    await underWay;
  };
  return {
    offer(path) {
      if (underWay !== undefined || performance.now() < next) return;
      next = performance.now() + intervalMs;
      underWay = upload(path, background).finally(() => {
        underWay = undefined;
      });
    },
    async last(path, signal) {
      await stop();
      await upload(path, signal);
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** The file under a second name, so that it stays what it is when another takes its place. */
async function keepStill(path: string, still: string): Promise<void> {
  await rm(still, { force: true });
  // Not every file system has second names.
  await link(path, still).catch(() => copyFile(path, still));
}
