import { cropWindow, type Size } from '../../image/geometry.ts';
import { cutOut, resample, type Raster } from '../../image/resample.ts';
import { createRandom, type Random } from '../random.ts';
import { changeColour } from './colour.ts';
import { addNoise, blur } from './grain.ts';
import { randAugment } from './rand-augment.ts';
import type { Recipe } from './recipe.ts';
import { cropTo, erase, flip, randomWindow } from './space.ts';

/** The picture as the model sees it when it is used: its own centre crop, `[height, width, 3]`. */
export function plainView(picture: Raster, size: Size): Uint8Array {
  const window = cropWindow(picture, size);
  if (window.left >= 0 && window.top >= 0) return cutOut(picture, window);
  return resample(picture, picture, window, 'nearest');
}

/**
 * One random view of a picture, `[height, width, 3]` of the size asked for. The keys (the run's seed, the epoch, the
 * image) alone determine it, whichever thread makes it. The picture given is not changed.
 */
export function randomView(
  picture: Raster,
  { size, recipe, keys }: { size: Size; recipe: Recipe; keys: readonly (string | number)[] },
): Uint8Array {
  const random = createRandom(...keys);
  const { crop } = recipe;
  const view =
    crop === undefined
      ? { ...size, data: plainView(picture, size) }
      : cropTo(picture, randomWindow(picture, crop, random), size);
  return change(view, recipe, random).data;
}

/** Side of the pictures that deviations of a blur are told for. */
const BLUR_SIDE = 224;

function change(view: Raster, recipe: Recipe, random: Random): Raster {
  let out = view;
  const happens = <T extends { probability: number }>(part: T | undefined): part is T =>
    part !== undefined && random.chance(part.probability);
  if (happens(recipe.flip)) flip(out);
  if (recipe.randAugment !== undefined) out = randAugment(out, recipe.randAugment, random);
  if (happens(recipe.colour)) {
    const { factor, hueDegrees } = recipe.colour;
    const around = (): number => random.between(1 - factor, 1 + factor);
    changeColour(out, {
      brightness: around(),
      contrast: around(),
      saturation: around(),
      hueDegrees: random.between(-hueDegrees, hueDegrees),
    });
  }
  if (happens(recipe.grey)) changeColour(out, { saturation: 0 });
  if (happens(recipe.blur))
    out = blur(out, (random.between(...recipe.blur.deviation) * out.width) / BLUR_SIDE);
  if (happens(recipe.noise)) addNoise(out, random.between(1, recipe.noise.deviation), random);
  if (happens(recipe.erase)) erase(out, recipe.erase.share, random);
  return out;
}
