import { link, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { HandlerError, ModelError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { cachedCommit, isFile, repositoryIn, type CachedRepository } from './cache-layout.ts';
import { downloadFile } from './download.ts';
import { digestFile } from './hashes.ts';
import { writeRecord } from './record.ts';
import type { Remote, RemoteFile } from './remote.ts';
import { PROCESSOR_FILE, weightsOf, type LocalModel, type ModelSource } from './snapshot.ts';

export interface FetchOptions {
  remote: Remote;
  cacheDir: string;
  source: ModelSource;
  /** Of all files of the model together. */
  maxBytes: number;
  /** Of each file. */
  fileDeadlineMs: number;
  log: Log;
  signal: AbortSignal;
}

/** A protobuf file ends here. */
const MAX_GRAPH_BYTES = 2 ** 31 - 1;

/**
 * Brings what is missing of a model into the cache: the graph, the weights that it names beside it, its processor, all
 * of one commit, which is that of the cache where it names one. Recorded when all is there.
 * The caller sees to it that no other process does the same.
 * @throws ModelError; or the signal's reason.
 */
export async function fetchModel(options: FetchOptions): Promise<LocalModel> {
  const { remote, cacheDir, source, signal, log } = options;
  const { repository, file } = source;
  const cached = repositoryIn(cacheDir, repository);
  try {
    const pinned = await cachedCommit(cached);
    const graph = await remote.resolve(repository, pinned ?? 'main', file, signal);
    if (graph === undefined) throw notOnHub(source, file);
    const { commit } = graph;
    if (pinned === undefined) await pin(cached, commit);
    else if (commit !== pinned) throw otherCommit(graph, pinned);
    const root = cached.snapshot(commit);

    let total = 0;
    const bring = async (remoteFile: RemoteFile): Promise<[string, { sha256: string; size: number }]> => {
      total += remoteFile.size;
      if (total > options.maxBytes || (remoteFile === graph && graph.size > MAX_GRAPH_BYTES)) {
        throw tooLarge(remoteFile, options.maxBytes);
      }
      const sha256 = await bringFile(remoteFile, cached, options);
      return [remoteFile.path, { sha256, size: remoteFile.size }];
    };

    const files = [await bring(graph)];
    // One after another: each can take the whole line, and what is cut off leaves one file half done.
    for (const path of [...(await weightsOf(root, file)), PROCESSOR_FILE]) {
      const found = await remote.resolve(repository, commit, path, signal);
      if (found === undefined && path !== PROCESSOR_FILE) throw notOnHub(source, path);
      if (found === undefined) {
        log.warn('The model has no processor file: the catalogue’s preprocessing is used', { repository });
        continue;
      }
      if (found.commit !== commit) throw otherCommit(found, commit);
      files.push(await bring(found));
    }
    await writeRecord(root, { repository, commit, files: Object.fromEntries(files) });
    return { root, graph: join(root, file) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof HandlerError) throw error;
    throw new ModelError(
      'model_download_failed',
      `could not write ${file} of ${repository} into ${cacheDir}: is there room, and may this process write there? ` +
        'HF_HUB_CACHE names another folder',
      { cause: error },
    );
  }
}

/** Written before the first file, so that a later run goes on with the same commit. */
async function pin({ mainRef }: CachedRepository, commit: string): Promise<void> {
  await mkdir(dirname(mainRef), { recursive: true });
  await writeFile(mainRef, commit);
}

/** @returns The file's SHA-256. */
async function bringFile(
  file: RemoteFile,
  cached: CachedRepository,
  { remote, fileDeadlineMs: deadlineMs, log, signal }: FetchOptions,
): Promise<string> {
  const target = join(cached.snapshot(file.commit), file.path);
  const blob = join(cached.blobs, file.hash);
  const here = await alreadyHere(target, file);
  if (here !== undefined) return here;
  const sha256 =
    (await alreadyHere(blob, file)) ??
    (await downloadFile({ remote, file, target: blob, deadlineMs, log, signal }));
  await place(blob, target);
  return sha256;
}

/** The SHA-256 of a file that is what the hub promises; one that is not, and was never recorded, is taken away. */
async function alreadyHere(path: string, { hash, size }: RemoteFile): Promise<string | undefined> {
  if (!(await isFile(path))) return undefined;
  if ((await stat(path)).size === size) {
    const { sha256, asPromised } = await digestFile(path, hash);
    if (asPromised === hash) return sha256;
  }
  await rm(path);
  return undefined;
}

/**
 * A second name for the blob, and no link to it as the hub's tools make: ONNX Runtime refuses weights behind a link
 * that leads out of the graph's folder. Where the disk knows no second names, the blob itself moves there.
 */
async function place(blob: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  // A link that leads nowhere is no file, and in the way.
  await rm(target, { force: true });
  await link(blob, target).catch(() => rename(blob, target));
}

function notOnHub({ repository }: ModelSource, path: string): ModelError {
  return new ModelError('model_not_on_hub', `the hub has no ${path} in ${repository}`);
}

function otherCommit({ path, repository, commit }: RemoteFile, pinned: string): ModelError {
  return new ModelError(
    'model_download_invalid',
    `${path} of ${repository} was asked for at ${pinned}, and the hub answers for ${commit}`,
  );
}

function tooLarge({ path, repository, size }: RemoteFile, maxBytes: number): ModelError {
  return new ModelError(
    'model_too_large',
    `${path} of ${repository} has ${String(size)} bytes: a model may have ${String(maxBytes)} in all, ` +
      `and ${String(MAX_GRAPH_BYTES)} in its graph`,
  );
}
