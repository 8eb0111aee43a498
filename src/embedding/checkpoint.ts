import { createHash } from 'node:crypto';
import { access, mkdir, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { HttpError } from '../base/errors.ts';
import type { Http } from '../http/http.ts';
import { storageOf } from './image-ref.ts';
import type { SignPaths } from './sign.ts';

export interface CheckpointOptions {
  http: Http;
  sign: SignPaths;
  signal: AbortSignal;
}

/** The largest models of the catalogue have 1.2 GB; a protobuf file ends at 2. */
const MAX_BYTES = 2_000_000_000;

/**
 * Fetches a fine-tuned model's file and gives its path. The file is named by its content, so that the same model is
 * loaded once, and another one under the same address is another file.
 * @throws HttpError or StoreError when it cannot be had.
 */
export async function fetchCheckpoint(
  url: string,
  { http, sign, signal }: CheckpointOptions,
): Promise<string> {
  // A path's first part is its bucket: there is no bucket of checkpoints.
  const [bucket, ...rest] = storageOf(url)?.path.split('/') ?? [];
  const [address] = bucket === undefined ? [url] : await sign([{ bucket, path: rest.join('/') }], signal);
  if (typeof address !== 'string')
    throw address ?? new HttpError('storage_not_found', `no address for ${url}`);
  const { body } = await http.get(address, { maxBytes: MAX_BYTES, signal });
  const folder = join(tmpdir(), 'gpu-handlers-checkpoints');
  const path = join(folder, `${createHash('sha256').update(body).digest('hex')}.onnx`);
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (there) return path;
  await mkdir(folder, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  await writeFile(unfinished, body);
  await rename(unfinished, path);
  return path;
}
