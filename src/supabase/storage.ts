import { StoreError } from '../base/errors.ts';
import type { Connection } from './connection.ts';

export interface SignUrlsQuery {
  bucket: string;
  /** Within the bucket. */
  paths: readonly string[];
  expiresInSeconds: number;
  signal?: AbortSignal | undefined;
}

export interface UploadQuery {
  bucket: string;
  path: string;
  /** Of a Blob (a file's, by `openAsBlob`) no more than a piece is held at once. */
  body: Uint8Array | Blob;
  contentType: string;
  signal?: AbortSignal | undefined;
}

export interface BucketQuery {
  bucket: string;
  /** Default false. */
  public?: boolean;
  allowedMimeTypes?: readonly string[];
  signal?: AbortSignal | undefined;
}

/** Paths in one signing request; Storage itself takes many more, at the price of one long answer. */
const PATHS_PER_REQUEST = 500;

/** A trained model may have hundreds of megabytes. */
const UPLOAD_TIMEOUT_MS = 300_000;

/**
 * An address for each path, in order, that opens it without a key until it expires. Where a path has no object, its
 * place holds a StoreError `storage_not_found`: one missing file fails alone.
 */
export async function signUrls(
  connection: Connection,
  query: SignUrlsQuery,
): Promise<(string | StoreError)[]> {
  const { bucket, paths, expiresInSeconds, signal } = query;
  const nameable = paths.filter(canBeNamed);
  const urls = new Map<string | null, string>();
  for (let start = 0; start < nameable.length; start += PATHS_PER_REQUEST) {
    const some = nameable.slice(start, start + PATHS_PER_REQUEST);
    const { data } = await connection.request({
      what: `signing urls in bucket ${bucket}`,
      repeat: 'safe',
      signal,
      send: (client) => client.storage.from(bucket).createSignedUrls(some, expiresInSeconds),
    });
    for (const { path, error, signedUrl } of data ?? []) {
      if (error === null && signedUrl !== null) urls.set(path, signedUrl);
    }
  }
  return paths.map((path) => urls.get(path) ?? notFound(bucket, path));
}

/** No object has such a path, and whoever asks for one is told of a fault of the server's, with all that is asked beside it. */
function canBeNamed(path: string): boolean {
  return path.isWellFormed() && !path.includes('\0');
}

/** Writes an object, replacing what is there. */
export async function uploadObject(connection: Connection, query: UploadQuery): Promise<void> {
  const { bucket, path, body, contentType, signal } = query;
  await connection.request({
    what: `uploading ${bucket}/${path}`,
    repeat: 'safe',
    signal,
    timeoutMs: UPLOAD_TIMEOUT_MS,
    send: (client) => {
      const bucketOf = client.storage.from(bucket);
      if (body instanceof Uint8Array) return bucketOf.upload(path, body, { contentType, upsert: true });
      // As a Blob it would become a form, which is put together in memory; a stream is sent as it is read.
      return bucketOf.upload(path, body.stream(), { contentType, upsert: true, duplex: 'half' });
    },
  });
}

/** Creates a bucket where there is none; one that exists is left as it is. */
export async function ensureBucket(
  connection: Connection,
  query: BucketQuery,
): Promise<'created' | 'existed'> {
  const { bucket, allowedMimeTypes, signal } = query;
  const what = `creating bucket ${bucket}`;
  try {
    await connection.request({
      what,
      repeat: 'safe',
      signal,
      send: (client) => client.storage.getBucket(bucket),
    });
    return 'existed';
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'supabase_rejected') throw error;
  }
  await connection.request({
    what,
    repeat: 'safe',
    signal,
    send: (client) =>
      client.storage.createBucket(bucket, {
        public: query.public ?? false,
        ...(allowedMimeTypes === undefined ? {} : { allowedMimeTypes: [...allowedMimeTypes] }),
      }),
  });
  return 'created';
}

function notFound(bucket: string, path: string): StoreError {
  return new StoreError('supabase', 'storage_not_found', `there is no object ${path} in bucket ${bucket}`);
}
