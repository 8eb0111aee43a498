import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, posix } from 'node:path';

import { HttpError, ModelError } from '../base/errors.ts';
import type { Http } from '../http/http.ts';
import { saveFile, type SavedFile } from '../http/save.ts';
import type { SignPaths } from '../job/sign.ts';
import { storageOf } from '../job/stored-file.ts';
import { weightLocations } from '../model/weight-locations.ts';

export interface CheckpointOptions {
  http: Http;
  sign: SignPaths;
  signal: AbortSignal;
  /** Where checkpoints are kept between jobs. */
  folder?: string;
}

/** The largest models of the catalogue have 1.2 GB; a protobuf file ends at 2. */
const MAX_GRAPH_BYTES = 2_000_000_000;
/** Of all files of weights beside the graph. */
const MAX_WEIGHTS_BYTES = 8_000_000_000;
const FOLDER = join(tmpdir(), 'gpu-handlers-checkpoints');

/**
 * Fetches a fine-tuned model's file, and the files beside it in which it says its weights lie, and gives its path.
 * Streamed to the disk. It is named by its content, so that the same model is loaded once, and another one under the
 * same address is another file.
 * @throws HttpError or StoreError when it cannot be had.
 */
export async function fetchCheckpoint(url: string, options: CheckpointOptions): Promise<string> {
  const { folder = FOLDER } = options;
  const unfinished = join(folder, `unfinished-${randomUUID()}`);
  const graph = join(unfinished, 'graph.onnx');
  try {
    await mkdir(unfinished, { recursive: true });
    const { sha256: hash } = await save(url, graph, MAX_GRAPH_BYTES, options);
    const locations = await locationsIn(graph);
    if (locations.length === 0) {
      const path = join(folder, `${hash}.onnx`);
      await rename(graph, path);
      return path;
    }
    const parts = [hash];
    let left = MAX_WEIGHTS_BYTES;
    // One after another: each can take the whole line, and the limit is for all of them.
    for (const location of locations) {
      const path = join(unfinished, 'beside', location);
      const saved = await save(besideOf(url, location), path, left, options);
      left -= saved.size;
      parts.push(location, saved.sha256);
    }
    const whole = createHash('sha256').update(JSON.stringify(parts)).digest('hex');
    await rename(graph, join(unfinished, 'beside', `${whole}.onnx`));
    await renameFolder(join(unfinished, 'beside'), join(folder, whole));
    return join(folder, whole, `${whole}.onnx`);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** What the graph keeps beside itself; of a file that is no graph, nothing: who loads it says what it is. */
async function locationsIn(path: string): Promise<string[]> {
  try {
    return await weightLocations(path);
  } catch (error) {
    if (error instanceof ModelError) return [];
    throw error;
  }
}

/**
 * The address of a file beside another one, without that one's query, which is for it alone. Every step of the
 * location is a name: none of them can lead to another folder or host.
 */
function besideOf(url: string, location: string): string {
  const steps = location.split(/[\\/]/).filter((step) => step !== '' && step !== '.');
  if (storageOf(url) !== null) {
    return posix.join(posix.dirname(url), ...steps);
  }
  return new URL(`./${steps.map(encodeURIComponent).join('/')}`, url).href;
}

async function save(
  url: string,
  path: string,
  maxBytes: number,
  { http, sign, signal }: CheckpointOptions,
): Promise<SavedFile> {
  // A path's first part is its bucket: there is no bucket of checkpoints.
  const [bucket, ...rest] = storageOf(url)?.path.split('/') ?? [];
  const [address] = bucket === undefined ? [url] : await sign([{ bucket, path: rest.join('/') }], signal);
  if (typeof address !== 'string')
    throw address ?? new HttpError('storage_not_found', `no address for ${url}`);
  await mkdir(dirname(path), { recursive: true });
  return saveFile(address, path, { http, maxBytes, signal });
}

/** Another job may have brought the same in the meantime. */
async function renameFolder(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const isThere = await stat(to).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isThere) throw error;
  }
}
