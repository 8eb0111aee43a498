import type { HandlerError } from '../base/errors.ts';
import type { ImageRef } from './image-ref.ts';

/** An image with its vector, ready to be written. */
export interface EmbeddedImage {
  ref: ImageRef;
  /** L2-normalised, `model.dim` long. Images of one url share it. */
  vector: Float32Array;
  /** sha256 of the image's bytes, hex. */
  content: string;
}

/** An image that could not be had. It fails alone: nothing else is held up or lost by it. */
export interface FailedImage {
  ref: ImageRef;
  error: HandlerError;
}
