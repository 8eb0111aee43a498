import { constants } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { HandlerError, HttpError, ModelError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { timeLimit } from '../../flow/time-limit.ts';
import type { HttpStream } from '../../http/stream.ts';
import { createPromiseHasher, hashInto, type PromiseHasher } from './hashes.ts';
import type { Remote, RemoteFile } from './remote.ts';

export interface DownloadOptions {
  remote: Remote;
  file: RemoteFile;
  /** Where it is to lie; what has come of it lies beside, as `{target}.incomplete`. */
  target: string;
  /** For all its tries together; what came by then is kept. */
  deadlineMs: number;
  log: Log;
  signal: AbortSignal;
}

/** A line of progress no more often than this. */
const PROGRESS_MS = 10_000;
/** Connections that may break after they brought something; one that brings nothing counts as a failed try. */
const MAX_PIECES = 200;

/** What is known of a file that is on its way. */
interface Partial {
  handle: FileHandle;
  hasher: PromiseHasher;
  size: number;
  /** Bytes that an earlier run had left. */
  found: number;
}

/**
 * Brings one file: goes on where an earlier run was cut off, is checked against the hub's own hash and size, and lies
 * under its name only when it is whole. What earlier runs left is thrown away once if it turns out not to fit.
 * @returns The file's SHA-256.
 * @throws ModelError `model_download_invalid` where what comes is not what the hub promised, `model_download_failed`; or
 * the signal's reason.
 */
export async function downloadFile(given: DownloadOptions): Promise<string> {
  const { file, target, deadlineMs, log } = given;
  // A server that sends a byte now and then is never silent for long enough to be given up.
  using limit = timeLimit(deadlineMs, given.signal, () => tooSlow(file, deadlineMs));
  const options = { ...given, signal: limit.signal };
  const incomplete = `${target}.incomplete`;
  await mkdir(dirname(target), { recursive: true });
  for (;;) {
    const { sha256, asPromised, found } = await bring(incomplete, options).catch(async (error: unknown) => {
      // What does not fit is no start for the next try.
      if (error instanceof ModelError && error.code === 'model_download_invalid') await rm(incomplete);
      throw error;
    });
    if (asPromised === file.hash) {
      await rename(incomplete, target);
      return sha256;
    }
    await rm(incomplete, { force: true });
    if (found === 0) {
      throw invalid(file, `its hash is ${asPromised}, but the hub promises ${file.hash}`);
    }
    log.warn('What an earlier run had left does not fit: starting over', { file: file.path, bytes: found });
  }
}

async function bring(
  incomplete: string,
  options: DownloadOptions,
): Promise<{ sha256: string; asPromised: string; found: number }> {
  const { file, remote, log, signal } = options;
  // Not for appending: what a process that has lost its lock still writes is the same bytes at the same place.
  await using handle = await open(incomplete, constants.O_RDWR | constants.O_CREAT);
  const partial = await beginFrom(handle, incomplete, file);
  const { found } = partial;
  log.info('Downloading a model file', {
    repository: file.repository,
    commit: file.commit,
    file: file.path,
    bytes: file.size,
    already_here: found,
  });
  const told = progressTeller(file, log);
  for (let pieces = 0; partial.size < file.size; pieces += 1) {
    if (pieces >= MAX_PIECES) {
      const what = `the connection for ${file.path} of ${file.repository} broke ${String(pieces)} times`;
      throw new ModelError('model_download_failed', `${what}: what came is kept`, { retryable: true });
    }
    await remote.patiently(() => bringSome(partial, options, told), signal);
  }
  await handle.sync();
  log.info('Downloaded a model file', { file: file.path, bytes: file.size, fetched: file.size - found });
  return { ...partial.hasher.digest(), found };
}

async function beginFrom(handle: FileHandle, path: string, file: RemoteFile): Promise<Partial> {
  const hasher = createPromiseHasher(file);
  const { size } = await handle.stat();
  if (size > file.size) {
    await handle.truncate(0);
    return { handle, hasher, size: 0, found: 0 };
  }
  await hashInto(path, hasher);
  return { handle, hasher, size, found: size };
}

/** One request. Fails only when it brought nothing: what did come is kept, and the next request goes on behind it. */
async function bringSome(
  partial: Partial,
  { remote, file, signal }: DownloadOptions,
  told: (size: number) => void,
): Promise<void> {
  const before = partial.size;
  try {
    await remote.read(file, before, signal, async (answer) => {
      await acceptAnswer(answer, partial, file);
      for await (const bytes of answer.body) {
        if (partial.size + bytes.byteLength > file.size) {
          throw invalid(file, `it is longer than the ${String(file.size)} bytes that the hub promises`);
        }
        await writeAt(partial.handle, bytes, partial.size);
        partial.hasher.update(bytes);
        partial.size += bytes.byteLength;
        told(partial.size);
      }
    });
  } catch (error) {
    const isCut = error instanceof HandlerError && error.retryable && partial.size > before;
    if (signal.aborted || !isCut) throw error;
    return;
  }
  if (partial.size === before && before < file.size) {
    throw new HttpError('network', `nothing came of ${file.path}`, { retryable: true });
  }
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, position + done);
    done += bytesWritten;
  }
}

/** Makes sure that the body begins where we are, and is part of what was promised. */
async function acceptAnswer(answer: HttpStream, partial: Partial, file: RemoteFile): Promise<void> {
  const { status, headers } = answer;
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers['content-range'] ?? '');
  if (status === 206) {
    const [, from, total = '*'] = range ?? [];
    if (Number(from) !== partial.size || (total !== '*' && Number(total) !== file.size)) {
      throw invalid(
        file,
        `asked from byte ${String(partial.size)} of ${String(file.size)}, the answer is ${String(headers['content-range'])}`,
      );
    }
    return;
  }
  const announced = headers['content-encoding'] === undefined ? headers['content-length'] : undefined;
  if (status === 416 || (announced !== undefined && Number(announced) !== file.size)) {
    const shown = status === 416 ? 'shorter' : `${String(announced)} bytes long`;
    throw invalid(file, `it is ${shown}, but the hub promises ${String(file.size)} bytes`);
  }
  // The whole file, asked for or not.
  await partial.handle.truncate(0);
  Object.assign(partial, { size: 0, found: 0, hasher: createPromiseHasher(file) });
}

function progressTeller(file: RemoteFile, log: Log): (size: number) => void {
  let toldAt = performance.now();
  return (size) => {
    const now = performance.now();
    if (now - toldAt < PROGRESS_MS) return;
    toldAt = now;
    log.info('Downloading a model file: progress', {
      file: file.path,
      bytes: size,
      of: file.size,
      percent: Math.floor((100 * size) / file.size),
    });
  };
}

function tooSlow({ path, repository }: RemoteFile, deadlineMs: number): ModelError {
  return new ModelError(
    'model_download_failed',
    `${path} of ${repository} did not come within ${String(deadlineMs / 1_000)} s: what came is kept, and the next try goes on`,
    { retryable: true },
  );
}

function invalid(file: RemoteFile, why: string): ModelError {
  return new ModelError(
    'model_download_invalid',
    `${file.path} of ${file.repository} at ${file.commit} did not come as promised: ${why}`,
  );
}
