import type { StoredFile } from '../job/stored-file.ts';
import type { PointId } from '../qdrant/store.ts';

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
  storage: StoredFile | null;
  /** A cutout whose row says already that it has its point. */
  marked?: boolean;
  /** What its point was made of, sha256 of the bytes, where it has one: other bytes are to be embedded again. */
  content?: string;
  /** The payload without `id`, `type`, `url`, `model`, `job_id` and `content`. */
  metadata: Record<string, unknown>;
}

/** What tells which point is whose. */
export type PointedImage = Pick<ImageRef, 'id' | 'type' | 'pointId'>;

/** Are these the bytes that the image's point was made of? */
export function isUnchanged(ref: ImageRef, content: string | undefined): boolean {
  return content !== undefined && ref.content === content;
}
