import { HandlerError } from '../base/errors.ts';

export type Resample = 'nearest' | 'bilinear' | 'bicubic' | 'lanczos';

/** What lies under transparent pixels: `drop` shows their own colour, as PIL's `convert("RGB")` does. */
export type AlphaPolicy = 'drop' | 'white' | 'black';

export type Resize =
  /** The shorter edge becomes `size`, the longer one floor(size · long / short). */
  { kind: 'shortest_edge'; size: number } | { kind: 'exact'; width: number; height: number };

/** What turns a picture into a model's input: the numbers of its `preprocessor_config.json` and our own policies. */
export interface Preprocessing {
  resize: Resize;
  resample: Resample;
  /** Centre crop with transformers' rounding; a picture smaller than it is padded with zeros. */
  crop: { width: number; height: number } | null;
  /** Factor from 0..255 to the model's scale: 1/255. */
  rescale: number;
  mean: readonly [number, number, number];
  std: readonly [number, number, number];
  /** The reference resizes floats (DINOv3), so that nothing is rounded in between. */
  rescaleBeforeResize: boolean;
  /** Turn the picture as its EXIF orientation says. */
  orient: boolean;
  alpha: AlphaPolicy;
}

/**
 * Width and height in pixels of every picture that this preprocessing makes.
 * @throws HandlerError `invalid_preprocessing` where that depends on the picture: shortest edge without a crop.
 */
export function outputSize(preprocessing: Preprocessing): { width: number; height: number } {
  const { resize, crop } = preprocessing;
  if (crop !== null) return { width: crop.width, height: crop.height };
  if (resize.kind === 'exact') return { width: resize.width, height: resize.height };
  throw new HandlerError(
    'invalid_preprocessing',
    'a resize of the shortest edge without a crop gives no fixed size: the model needs a crop',
  );
}
