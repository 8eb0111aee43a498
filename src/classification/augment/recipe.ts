import type { AugmentationPreset } from '../input-config.ts';
import type { RandAugmentSpec } from './rand-augment.ts';
import type { CropRange } from './space.ts';

/** How training images are changed. What is absent does not happen; probabilities are for one picture. */
export interface Recipe {
  crop?: CropRange;
  flip?: { probability: number };
  /** Largest changes: of factors around 1, and of the hue in degrees. */
  colour?: { probability: number; factor: number; hueDegrees: number };
  grey?: { probability: number };
  randAugment?: RandAugmentSpec;
  /** Deviation in pixels of a side of 224, lowest and highest. */
  blur?: { probability: number; deviation: readonly [number, number] };
  /** Largest deviation, on the scale of 0 to 255. */
  noise?: { probability: number; deviation: number };
  /** Share of the area, lowest and highest. */
  erase?: { probability: number; share: readonly [number, number] };
}

const RATIO = [3 / 4, 4 / 3] as const;
const FLIP = { probability: 0.5 };

export const RECIPES: Readonly<Record<AugmentationPreset, Recipe>> = {
  none: {},
  light: { crop: { scale: [0.7, 1], ratio: RATIO }, flip: FLIP },
  medium: {
    crop: { scale: [0.5, 1], ratio: RATIO },
    flip: FLIP,
    colour: { probability: 0.8, factor: 0.2, hueDegrees: 5 },
  },
  heavy: {
    crop: { scale: [0.35, 1], ratio: RATIO },
    flip: FLIP,
    colour: { probability: 0.8, factor: 0.4, hueDegrees: 15 },
    grey: { probability: 0.05 },
    blur: { probability: 0.2, deviation: [0.3, 1.5] },
    noise: { probability: 0.2, deviation: 12 },
    erase: { probability: 0.25, share: [0.02, 0.2] },
  },
  sota: {
    crop: { scale: [0.25, 1], ratio: RATIO },
    flip: FLIP,
    randAugment: { changes: 2, magnitude: 9, magnitudeDeviation: 0.5, probability: 0.5 },
    colour: { probability: 0.3, factor: 0.3, hueDegrees: 10 },
    blur: { probability: 0.1, deviation: [0.3, 2] },
    noise: { probability: 0.1, deviation: 15 },
    erase: { probability: 0.25, share: [0.02, 0.33] },
  },
};
