import { rm, stat } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { HandlerError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { retry } from '../flow/retry.ts';
import type { Http } from '../http/http.ts';
import type { SignPaths } from '../job/sign.ts';
import type { StoredFile } from '../job/stored-file.ts';
import { MODEL_BUCKET } from './artefacts.ts';
import { CHECKPOINT_FILE, findOwnCheckpoint, readResumed, type Resumed } from './train/checkpoints.ts';

export interface ResumeOptions {
  runId: string;
  /** An earlier attempt at this run was under way: it may have left a checkpoint in the bucket. */
  isRerun: boolean;
  /** What the job asks to begin from. */
  resumeFrom: string | undefined;
  /** Of the run. */
  folder: string;
  http: Http;
  sign: SignPaths;
  log: Log;
  signal: AbortSignal;
}

/** A model of two gigabytes with its moments, average and best weights. */
const MAX_CHECKPOINT_BYTES = 12_000_000_000;
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
const FETCHED = 'resume-from.safetensors';

/**
 * What the run goes on from: what it left on this machine itself, else what it left in the bucket, else what the job names. Undefined: it begins anew.
 * @throws HandlerError `resume_not_found` for what the job names and is not there; ModelError for what is no checkpoint
 */
export async function findResumed(options: ResumeOptions): Promise<Resumed | undefined> {
  const { runId, resumeFrom, folder, log } = options;
  const own = await findOwnCheckpoint(folder, log);
  if (own !== undefined) return told(own, 'this machine', log);
  const rescued = options.isRerun ? await fetchOwn(options) : undefined;
  if (rescued !== undefined) return told(rescued, `${MODEL_BUCKET}/${runId}`, log);
  if (resumeFrom === undefined) return undefined;
  const path = await fetchTo(resumeFrom, options);
  if (path === undefined) {
    throw new HandlerError(
      'resume_not_found',
      `resume_from: there is no checkpoint ${describe(resumeFrom)}; give the id of a run that has one, a path in ` +
        `${MODEL_BUCKET}, or an http(s) address`,
    );
  }
  return told(await readResumed(path), describe(resumeFrom), log);
}

function told(resumed: Resumed, from: string, log: Log): Resumed {
  const { epoch, taken } = resumed.state.sampler;
  log.info(`[Resume] from ${from}: ${epoch} epochs done`, { epoch, taken });
  return resumed;
}

async function fetchOwn(options: ResumeOptions): Promise<Resumed | undefined> {
  const { runId, log, signal } = options;
  try {
    const path = await fetchTo(`${MODEL_BUCKET}/${runId}/${CHECKPOINT_FILE}`, options);
    return path === undefined ? undefined : await readResumed(path);
  } catch (error) {
    signal.throwIfAborted();
    log.warn(
      'the checkpoint that an earlier attempt left in the bucket cannot be used: the run starts anew',
      {
        error: messageOf(error),
      },
    );
    return undefined;
  }
}

/** @returns Where the file lies now; undefined where there is none. */
async function fetchTo(
  from: string,
  { folder, http, sign, signal }: ResumeOptions,
): Promise<string | undefined> {
  const stored = storedFileOf(from);
  const [address] = stored === null ? [from] : await sign([stored], signal);
  if (typeof address !== 'string') {
    if (address?.code === 'storage_not_found') return undefined;
    throw address ?? new HandlerError('resume_not_found', `no address for ${describe(from)}`);
  }
  const path = join(folder, FETCHED);
  try {
    await retry(
      () =>
        http.stream(address, { maxBytes: MAX_CHECKPOINT_BYTES, signal }, ({ body }) =>
          pipeline(body, createWriteStream(path)),
        ),
      { signal },
    );
  } catch (error) {
    await rm(path, { force: true });
    if (error instanceof HandlerError && error.code === 'http_404') return undefined;
    throw error;
  }
  return (await stat(path)).size === 0 ? undefined : path;
}

/** An id is a run's own checkpoint; a path begins with its bucket, or lies in that of the models. */
function storedFileOf(from: string): StoredFile | null {
  if (/^https?:\/\//i.test(from)) return null;
  if (UUID.test(from)) return { bucket: MODEL_BUCKET, path: `${from.toLowerCase()}/${CHECKPOINT_FILE}` };
  const path = from.replace(/^\/+/, '');
  const inBucket = path.startsWith(`${MODEL_BUCKET}/`) ? path.slice(MODEL_BUCKET.length + 1) : path;
  return { bucket: MODEL_BUCKET, path: inBucket };
}

function describe(from: string): string {
  return from.replace(/[?#].*$/s, '').slice(0, 200);
}
