import { ImageError, toHandlerError, type HandlerError } from '../base/errors.ts';
import { batches, type Source } from '../flow/streams.ts';
import type { FailedImage } from './embedded-image.ts';
import type { ImageRef } from './image-ref.ts';

/** An image, and where it can be fetched just now. */
export interface AddressedImage {
  ref: ImageRef;
  address: string;
}

export interface AddressOptions {
  /** Addresses for images in Supabase storage, in the order asked: made in batches, just before use. */
  sign: (refs: readonly ImageRef[], signal: AbortSignal) => Promise<(string | HandlerError)[]>;
  fail: (failed: FailedImage) => void;
  signal: AbortSignal;
}

const SIGN_BATCH = 64;

/**
 * Passes the images on with their addresses, in order; one that has none fails.
 * @throws StoreError when the storage stayed away.
 */
export async function* withAddresses(
  images: Source<ImageRef>,
  options: AddressOptions,
): AsyncGenerator<AddressedImage> {
  for await (const refs of batches(images, SIGN_BATCH)) {
    const stored = refs.filter((ref) => ref.storage !== null);
    const signed = stored.length === 0 ? [] : await signAll(options, stored);
    const addresses = new Map(stored.map((ref, i) => [ref, signed[i]]));
    for (const ref of refs) {
      const address = ref.storage === null ? ref.url : addresses.get(ref);
      if (typeof address === 'string') yield { ref, address };
      else {
        const error = address ?? new ImageError('storage_not_found', `no address for ${ref.url}`);
        options.fail({ ref, error });
      }
    }
  }
}

/** A storage that refuses to sign fails its own pictures, and the others are none the worse; one that is away, all. */
async function signAll(
  { sign, signal }: AddressOptions,
  refs: readonly ImageRef[],
): Promise<(string | HandlerError)[]> {
  try {
    return await sign(refs, signal);
  } catch (error) {
    signal.throwIfAborted();
    const failure = toHandlerError(error);
    if (failure.retryable) throw failure;
    return refs.map(() => failure);
  }
}
