import { createHash } from 'node:crypto';
import { createReadStream, openAsBlob } from 'node:fs';
import { pipeline } from 'node:stream/promises';

import type { Database } from '../supabase/database.ts';
import type { Artefact } from './output.ts';

export const MODEL_BUCKET = 'cls-models';
const CONTENT_TYPE = 'application/octet-stream';
const ALLOWED_TYPES = [CONTENT_TYPE, 'application/zip', 'application/x-tar'];

export interface UploadOptions {
  database: Database;
  runId: string;
  /** In the run's folder of the bucket. */
  name: string;
  /** On this machine. */
  file: string;
  signal?: AbortSignal | undefined;
}

/** Streams a file into the bucket, replacing what is there. @throws StoreError */
export async function uploadArtefact({
  database,
  runId,
  name,
  file,
  signal,
}: UploadOptions): Promise<Artefact> {
  const path = `${runId}/${name}`;
  const { bytes, sha256 } = await checksum(file);
  const body = await openAsBlob(file);
  await database.upload({ bucket: MODEL_BUCKET, path, body, contentType: CONTENT_TYPE, signal });
  return { url: `${MODEL_BUCKET}/${path}`, bytes, sha256 };
}

/** Makes the bucket where a project has none. @throws StoreError */
export async function ensureModelBucket(database: Database, signal: AbortSignal): Promise<void> {
  await database.ensureBucket({ bucket: MODEL_BUCKET, allowedMimeTypes: ALLOWED_TYPES, signal });
}

async function checksum(file: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  await pipeline(createReadStream(file), async (pieces: AsyncIterable<Uint8Array>) => {
    for await (const piece of pieces) {
      hash.update(piece);
      bytes += piece.byteLength;
    }
  });
  return { bytes, sha256: hash.digest('hex') };
}
