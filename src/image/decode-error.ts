import { HandlerError, ImageError, isError } from '../base/errors.ts';
import { endsEarly } from './ends-early.ts';
import type { ImageType } from './sniff.ts';

const PIXEL_LIMIT = /exceeds pixel limit|too large|image size limit/i;

/**
 * An error of the decoder as ours. Its text is not passed on: it may hold parts of the file.
 * What is ours already, or no decoder's error, stays as it is.
 */
export function decodeError(error: unknown, bytes: Uint8Array, type: ImageType): unknown {
  if (error instanceof HandlerError || !isError(error)) return error;
  const { message } = error;
  if (PIXEL_LIMIT.test(message))
    return new ImageError('too_many_pixels', 'the image has more pixels than allowed');
  if (endsEarly(bytes, type)) return new ImageError('truncated', 'the file ends before the image does');
  return new ImageError('corrupt', 'the file begins as an image, but cannot be decoded');
}
