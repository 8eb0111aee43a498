/** A file in Supabase Storage. */
export interface StoredFile {
  bucket: string;
  path: string;
}

/** Where an image's path without a scheme lies. */
const FRAMES_BUCKET = 'frames';

const SCHEME = /^[a-z][a-z0-9+.-]*:/i;

/** The stored file that an image's url means; null where it is an address of its own (`https:`, `data:`) or empty. */
export function storageOf(url: string): StoredFile | null {
  const path = url.replace(/^\/+/, '');
  return path === '' || SCHEME.test(url) ? null : { bucket: FRAMES_BUCKET, path };
}
