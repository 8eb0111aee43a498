import type { Raster } from '../../image/resample.ts';
import type { Random } from '../random.ts';
import { changeColour } from './colour.ts';
import { sharpen } from './grain.ts';
import { place, rotation } from './space.ts';
import { autoContrast, equalize, invert, posterize, solarize, solarizeAdd } from './tables.ts';

/** `strength` from 0 to 1; `sign` is 1 or -1. Works in place, or gives another picture. */
type Change = (picture: Raster, strength: number, sign: number) => Raster;

const MAX_ROTATION_DEGREES = 30;
const MAX_SHEAR = 0.3;
/** Share of the side. */
const MAX_SHIFT = 0.3;
const MAX_ENHANCE = 0.9;
const MAX_SOLARIZE_ADD = 110;
const POSTERIZE_BITS = 4;

const inPlace =
  (change: (picture: Raster, strength: number, sign: number) => void): Change =>
  (picture, strength, sign) => {
    change(picture, strength, sign);
    return picture;
  };

/** The changes of Cubuk et al., 2019 (RandAugment), each growing with its strength. */
export const CHANGES: Readonly<Record<string, Change>> = {
  autoContrast: inPlace(autoContrast),
  equalize: inPlace(equalize),
  invert: inPlace(invert),
  rotate: (picture, strength, sign) => place(picture, rotation(sign * strength * MAX_ROTATION_DEGREES)),
  posterize: inPlace((picture, strength) => posterize(picture, 8 - Math.round(strength * POSTERIZE_BITS))),
  solarize: inPlace((picture, strength) => solarize(picture, 256 - Math.round(strength * 256))),
  solarizeAdd: inPlace((picture, strength) => solarizeAdd(picture, Math.round(strength * MAX_SOLARIZE_ADD))),
  saturation: inPlace((picture, strength, sign) =>
    changeColour(picture, { saturation: 1 + sign * strength * MAX_ENHANCE }),
  ),
  contrast: inPlace((picture, strength, sign) =>
    changeColour(picture, { contrast: 1 + sign * strength * MAX_ENHANCE }),
  ),
  brightness: inPlace((picture, strength, sign) =>
    changeColour(picture, { brightness: 1 + sign * strength * MAX_ENHANCE }),
  ),
  sharpness: (picture, strength, sign) => sharpen(picture, 1 + sign * strength * MAX_ENHANCE),
  shearX: (picture, strength, sign) => place(picture, [1, sign * strength * MAX_SHEAR, 0, 0, 1, 0]),
  shearY: (picture, strength, sign) => place(picture, [1, 0, 0, sign * strength * MAX_SHEAR, 1, 0]),
  translateX: (picture, strength, sign) =>
    place(picture, [1, 0, sign * strength * MAX_SHIFT * picture.width, 0, 1, 0]),
  translateY: (picture, strength, sign) =>
    place(picture, [1, 0, 0, 0, 1, sign * strength * MAX_SHIFT * picture.height]),
};
const ALL = Object.values(CHANGES);

export interface RandAugmentSpec {
  /** Changes for a picture. */
  changes: number;
  /** 0 to 10. */
  magnitude: number;
  /** Of a normal distribution around it. */
  magnitudeDeviation: number;
  /** For each of the changes. */
  probability: number;
}

export function randAugment(picture: Raster, spec: RandAugmentSpec, random: Random): Raster {
  let out = picture;
  for (let i = 0; i < spec.changes; i += 1) {
    const change = ALL[random.below(ALL.length)];
    const magnitude = spec.magnitude + random.normal() * spec.magnitudeDeviation;
    const sign = random.chance(0.5) ? 1 : -1;
    if (!random.chance(spec.probability) || change === undefined) continue;
    out = change(out, Math.min(1, Math.max(0, magnitude / 10)), sign);
  }
  return out;
}
