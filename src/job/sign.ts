import { type HandlerError, ImageError } from '../base/errors.ts';
import type { Database } from '../supabase/database.ts';
import type { StoredFile } from './stored-file.ts';

/** Long enough for the queue between signing and fetching, short enough to be of no use in a log. */
const SIGNED_SECONDS = 3_600;

export type SignPaths = (
  storages: readonly StoredFile[],
  signal: AbortSignal,
) => Promise<(string | HandlerError)[]>;

/**
 * Addresses of stored files, in the order asked: one request a bucket.
 * @param keyName of the database's key in the job's input, for what is said where there is no database
 */
export function createSigner(
  database: Database | undefined,
  keyName: 'supabase_service_key' | 'supabase_key' = 'supabase_service_key',
): SignPaths {
  return async (storages, signal) => {
    if (database === undefined) return storages.map((storage) => noDatabase(storage, keyName));
    const places = storages.map((storage, i) => ({ ...storage, i }));
    const signed: (string | HandlerError)[] = [];
    await Promise.all(
      [...Map.groupBy(places, ({ bucket }) => bucket)].map(async ([bucket, group]) => {
        const paths = group.map(({ path }) => path);
        const urls = await database.signUrls({ bucket, paths, expiresInSeconds: SIGNED_SECONDS, signal });
        for (const [k, { i, path }] of group.entries()) {
          signed[i] = urls[k] ?? new ImageError('storage_not_found', `no address for ${bucket}/${path}`);
        }
      }),
    );
    return signed;
  };
}

/** The same for images that lie in storage. */
export function signImages(
  sign: SignPaths,
): (images: readonly { storage: StoredFile | null }[], signal: AbortSignal) => ReturnType<SignPaths> {
  return (images, signal) =>
    sign(
      images.flatMap(({ storage }) => (storage === null ? [] : [storage])),
      signal,
    );
}

function noDatabase({ bucket, path }: StoredFile, keyName: string): ImageError {
  return new ImageError(
    'storage_not_found',
    `${bucket}/${path} lies in Supabase storage, and no Supabase is configured: give supabase_url and ${keyName}`,
  );
}
