import type { ImageRef } from './image-ref.ts';

export interface PayloadStamp {
  /** The model's fingerprint. */
  model: string;
  jobId: string;
  /** Hash of the image's bytes. */
  content: string;
}

/**
 * `user:password@` in an address: it opens the picture, and is nothing for the readers of a collection. As a URL parser
 * reads it: up to the last `@` of the host's part, with slashes of either kind or none.
 */
const PASSWORD = /^(\s*https?:[\\/]*)[^\\/?#]*@/i;

/** Exactly what is stored with an image's vector; the image's own keys win over metadata of the same name. */
export function payloadOf(ref: ImageRef, stamp: PayloadStamp): Record<string, unknown> {
  return {
    ...ref.metadata,
    id: ref.id,
    type: ref.type,
    url: ref.url.replace(PASSWORD, '$1'),
    model: stamp.model,
    job_id: stamp.jobId,
    content: stamp.content,
  };
}
