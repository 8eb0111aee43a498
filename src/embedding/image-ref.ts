import type { PointId } from '../qdrant/store.ts';

/** Where a path without a scheme lies. */
const FRAMES_BUCKET = 'frames';

/** One image that a job embeds: where it is, which point it becomes, and what that point says about it. */
export interface ImageRef {
  /** The image id of the contract; the payload's `id`. */
  id: string;
  pointId: PointId;
  collection: string;
  type: 'product' | 'cutout';
  /** As stored, never signed; the payload's `url`. */
  url: string;
  /** Where the image lies when `url` is a path in Supabase Storage; null when it is an address. */
  storage: { bucket: string; path: string } | null;
  /** A cutout whose row says already that it has its point. */
  marked?: boolean;
  /** What its point was made of, sha256 of the bytes, where it has one: other bytes are to be embedded again. */
  content?: string;
  /** The payload without `id`, `type`, `url`, `model`, `job_id` and `content`. */
  metadata: Record<string, unknown>;
}

/** Are these the bytes that the image's point was made of? */
export function isUnchanged(ref: ImageRef, content: string | undefined): boolean {
  return content !== undefined && ref.content === content;
}

const SCHEME = /^[a-z][a-z0-9+.-]*:/i;

/** The storage object that a stored url means; null where it is an address of its own (`https:`, `data:`) or empty. */
export function storageOf(url: string): ImageRef['storage'] {
  const path = url.replace(/^\/+/, '');
  return path === '' || SCHEME.test(url) ? null : { bucket: FRAMES_BUCKET, path };
}
