import { expose, shelfExposure, studioExposure } from './camera.ts';
import type { Box, Picture } from './canvas.ts';
import type { Random } from './random.ts';
import type { Sprite } from './render-product.ts';
import { drawScene } from './scene.ts';
import { warp, type Quad } from './warp.ts';

/** A picture with the quality its JPEG is to have. */
export interface Photo {
  picture: Picture;
  jpegQuality: number;
}

export interface Surroundings {
  /** Draws the product, `height` pixels tall, turned by so many radians. */
  product(height: number, turn: number): Sprite;
  left(height: number): Sprite;
  right(height: number): Sprite;
}

/** Most that a product on a shelf is turned away from the front, in radians: 20 degrees. */
const MOST_TURN = (20 * Math.PI) / 180;

/** Heights in pixels at which the scene is drawn before the camera looks at it. */
const SCENE_HEIGHTS = [130, 160, 195, 235];

/** What a shelf camera's detector cuts out: one product with a little of what is around it. */
export function drawCutout(around: Surroundings, random: Random): Photo {
  const height = random.integer(110, 230);
  // Most products stand nearly straight: the sum of two numbers falls off towards the ends.
  const turn = MOST_TURN * (random.between(-0.5, 0.5) + random.between(-0.5, 0.5));
  const exposure = shelfExposure(random);
  // Few sizes, so that neighbours can be drawn once and used again.
  const tall = SCENE_HEIGHTS.find((size) => size >= height) ?? height;
  const sprites = { product: around.product(tall, turn), left: around.left(tall), right: around.right(tall) };
  const { picture, body } = drawScene(sprites, random);
  const quad = viewOf(body, { skew: 0.05, loose: [-0.025, 0.07], tilt: 0.045 }, random);
  const size = { width: widthOf(body, height), height };
  return {
    picture: expose(warp(picture, quad, size), size, exposure, random),
    jpegQuality: exposure.jpegQuality,
  };
}

/** A photographer's picture of a product: even light, a plain ground, a free angle. */
export function drawReal(product: Picture, random: Random): Photo {
  const body = { left: 0, top: 0, right: product.width, bottom: product.height };
  const quad = viewOf(body, { skew: 0.03, loose: [-0.04, 0], tilt: 0.03 }, random);
  const size = { width: product.width, height: product.height };
  const exposure = studioExposure(random);
  return {
    picture: expose(warp(product, quad, size), size, exposure, random),
    jpegQuality: exposure.jpegQuality,
  };
}

/** A frame as an augmentation pipeline changes it: tilted, cropped, in another light. */
export function drawAugmented(frame: Picture, random: Random): Photo {
  const body = { left: 0, top: 0, right: frame.width, bottom: frame.height };
  const quad = viewOf(body, { skew: 0.06, loose: [-0.12, -0.02], tilt: 0.12 }, random);
  const size = { width: Math.round(frame.width * 0.8), height: Math.round(frame.height * 0.8) };
  const exposure = shelfExposure(random);
  return {
    picture: expose(warp(frame, quad, size), size, exposure, random),
    jpegQuality: exposure.jpegQuality,
  };
}

function widthOf(body: Box, height: number): number {
  return Math.max(24, Math.round((height * (body.right - body.left)) / (body.bottom - body.top)));
}

/** The seen quadrangle around a body: a detector's loose box, tilted, with its corners moved as by a camera aside. */
function viewOf(
  body: Box,
  view: { skew: number; loose: readonly [number, number]; tilt: number },
  random: Random,
): Quad {
  const wide = body.right - body.left;
  const tall = body.bottom - body.top;
  const loose = (length: number) => length * random.between(view.loose[0], view.loose[1]);
  const left = body.left - loose(wide);
  const right = body.right + loose(wide);
  const top = body.top - loose(tall);
  const bottom = body.bottom + loose(tall);
  const angle = random.between(-view.tilt, view.tilt);
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const [cx, cy] = [(left + right) / 2, (top + bottom) / 2];
  const keystoneX = random.between(-view.skew, view.skew);
  const keystoneY = random.between(-view.skew, view.skew);
  const corner = (x: number, y: number): readonly [number, number] => {
    const sideX = x < cx ? -1 : 1;
    const sideY = y < cy ? -1 : 1;
    const kx = (x - cx) * (1 + keystoneX * sideY) + random.between(-0.012, 0.012) * wide;
    const ky = (y - cy) * (1 + keystoneY * sideX) + random.between(-0.012, 0.012) * tall;
    return [cx + kx * cos - ky * sin, cy + kx * sin + ky * cos];
  };
  return [corner(left, top), corner(right, top), corner(right, bottom), corner(left, bottom)];
}
