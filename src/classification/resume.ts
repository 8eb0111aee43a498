import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { HandlerError, messageOf, ModelError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Http } from '../http/http.ts';
import { saveFile } from '../http/save.ts';
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

/** A checkpoint that the run may go on from. */
export interface Found extends Resumed {
  /** Where it was, for people. */
  from: string;
  /** Does the job name it? Else an earlier attempt at the run left it. */
  isAsked: boolean;
}

/**
 * Checkpoints that the run may go on from, the best first: what it left on this machine itself, what it left in the
 * bucket, what the job names.
 * @throws HandlerError `resume_not_found` for what the job names and is not there; ModelError for what is no checkpoint
 */
export async function* findCheckpoints(options: ResumeOptions): AsyncGenerator<Found> {
  const { runId, resumeFrom, folder, log } = options;
  const own = await findOwnCheckpoint(folder, log);
  if (own !== undefined) yield { ...own, from: 'this machine', isAsked: false };
  const rescued = options.isRerun ? await fetchOwn(options) : undefined;
  if (rescued !== undefined) yield { ...rescued, from: `${MODEL_BUCKET}/${runId}`, isAsked: false };
  if (resumeFrom === undefined) return;
  const path = await fetchTo(resumeFrom, options);
  if (path === undefined) {
    throw new HandlerError(
      'resume_not_found',
      `resume_from: there is no checkpoint ${describe(resumeFrom)}; give the id of a run that has one, a path in ` +
        `${MODEL_BUCKET}, or an http(s) address`,
    );
  }
  const found = await readResumed(path).catch((cause: unknown) => {
    if (!(cause instanceof ModelError)) throw cause;
    throw new ModelError(cause.code, `resume_from (${describe(resumeFrom)}): ${cause.message}`, { cause });
  });
  yield { ...found, from: describe(resumeFrom), isAsked: true };
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
    const { size } = await saveFile(address, path, { http, maxBytes: MAX_CHECKPOINT_BYTES, signal });
    return size === 0 ? undefined : path;
  } catch (error) {
    await rm(path, { force: true });
    if (error instanceof HandlerError && error.code === 'http_404') return undefined;
    throw error;
  }
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
