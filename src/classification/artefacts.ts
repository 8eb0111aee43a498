import { createHash } from 'node:crypto';
import { createReadStream, openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

import { HandlerError } from '../base/errors.ts';
import type { Database } from '../supabase/database.ts';
import type { BaseModel } from '../training/trainer.ts';
import type { Artefact } from './output.ts';

export const MODEL_BUCKET = 'cls-models';
export const MODEL_FILE = 'model.onnx';
const CONTENT_TYPE = 'application/octet-stream';
const ALLOWED_TYPES = [CONTENT_TYPE, 'application/zip', 'application/x-tar'];

/** Where the files of a run go. */
export interface ArtefactStore {
  /**
   * What models may be stored is known before one is trained.
   * @throws HandlerError `model_too_large_to_return`
   */
  expect(model: Pick<BaseModel, 'bytes' | 'folder'>): void;
  /** Puts a file there, replacing one of that name; undefined where files of its kind are not kept. @throws StoreError */
  put(name: string, file: string, signal: AbortSignal): Promise<Artefact | undefined>;
}

/** The run's folder in the bucket, which is made where a project has none. Files are streamed. */
export function bucketStore(database: Database, runId: string): ArtefactStore {
  let isThere = false;
  return {
    expect: () => undefined,
    async put(name, file, signal) {
      if (!isThere) {
        await database.ensureBucket({ bucket: MODEL_BUCKET, allowedMimeTypes: ALLOWED_TYPES, signal });
        isThere = true;
      }
      const path = `${runId}/${name}`;
      const { bytes, sha256 } = await checksum(file);
      const body = await openAsBlob(file);
      await database.upload({ bucket: MODEL_BUCKET, path, body, contentType: CONTENT_TYPE, signal });
      return { url: `${MODEL_BUCKET}/${path}`, bytes, sha256 };
    },
  };
}

/** The same, for as long as the run is this attempt's: what a later one has stored is not written over. */
export function whileHeld(store: ArtefactStore, confirm: () => Promise<void>): ArtefactStore {
  return {
    expect: (model) => store.expect(model),
    async put(name, file, signal) {
      await confirm();
      return store.put(name, file, signal);
    },
  };
}

/** As text a model is a third larger, and the platform takes 20 MB of output. */
const MAX_RETURNED_BYTES = 10_000_000;

/** For a run that has no row: the model is a `data:` url in the output, and nothing else is kept. */
export const OUTPUT_STORE: ArtefactStore = {
  expect({ bytes: { byteLength }, folder }) {
    if (folder === null && byteLength <= MAX_RETURNED_BYTES) return;
    throw new HandlerError(
      'model_too_large_to_return',
      `without training_run_id the model is a part of the output, and this one has ${Math.ceil(byteLength / 1e6)} MB ` +
        `${folder === null ? `of at most ${MAX_RETURNED_BYTES / 1e6}` : 'and weights in files beside it'}: give ` +
        'training_run_id and Supabase, and it is stored',
    );
  },
  async put(name, file) {
    if (name !== MODEL_FILE) return undefined;
    const { bytes, sha256 } = await checksum(file);
    return { url: `data:${CONTENT_TYPE};base64,${await readFile(file, 'base64')}`, bytes, sha256 };
  },
};

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
