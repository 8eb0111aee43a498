import type { Colour } from './colour.ts';
import { abs, ceil, floor, hypot, max, min } from './maths.ts';

/** A picture in memory: red, green, blue of each pixel, rows first, 0..255. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** A rectangle in pixels; `right` and `bottom` lie outside. */
export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Positive inside of a shape, negative outside, in any unit. */
export type Field = (x: number, y: number) => number;

export function createPicture(width: number, height: number, colour: Colour): Picture {
  const data = new Uint8ClampedArray(width * height * 3);
  const [red, green, blue] = colour;
  for (let i = 0; i < data.length; i += 3) {
    data[i] = red;
    data[i + 1] = green;
    data[i + 2] = blue;
  }
  return { width, height, data };
}

/**
 * Paints where the field is positive, with soft edges one pixel wide: how far a pixel lies inside is its value by the
 * field's own slope, so a field needs no particular unit.
 */
export function paint(
  picture: Picture,
  shape: { field: Field; colour: Colour; box?: Box; opacity?: number },
): void {
  const { field, colour, opacity = 1 } = shape;
  const box = shape.box ?? { left: 0, top: 0, right: picture.width, bottom: picture.height };
  const left = max(0, floor(box.left));
  const right = min(picture.width, ceil(box.right));
  const top = max(0, floor(box.top));
  const bottom = min(picture.height, ceil(box.bottom));
  if (right <= left || bottom <= top) return;
  const span = right - left + 1;
  let here = new Float32Array(span);
  let below = new Float32Array(span);
  for (let i = 0; i < span; i++) below[i] = field(left + i + 0.5, top + 0.5);
  for (let y = top; y < bottom; y++) {
    [here, below] = [below, here];
    for (let i = 0; i < span; i++) below[i] = field(left + i + 0.5, y + 1.5);
    for (let i = 0; i < span - 1; i++) {
      const f = here[i] ?? 0;
      const slope = abs((here[i + 1] ?? 0) - f) + abs((below[i] ?? 0) - f) + 1e-6;
      const cover = min(1, max(0, 0.5 + f / slope)) * opacity;
      if (cover > 0) blend(picture, (y * picture.width + left + i) * 3, colour, cover);
    }
  }
}

function blend(picture: Picture, at: number, colour: Colour, share: number): void {
  const { data } = picture;
  for (let c = 0; c < 3; c++) {
    const old = data[at + c] ?? 0;
    data[at + c] = old + ((colour[c] ?? 0) - old) * share;
  }
}

/** Inside of a rectangle with round corners; in pixels. */
function roundedBox(box: Box, radius: number): Field {
  const cx = (box.left + box.right) / 2;
  const cy = (box.top + box.bottom) / 2;
  const hw = (box.right - box.left) / 2 - radius;
  const hh = (box.bottom - box.top) / 2 - radius;
  return (x, y) => {
    const dx = abs(x - cx) - hw;
    const dy = abs(y - cy) - hh;
    const outside = hypot(max(dx, 0), max(dy, 0));
    return radius - outside - min(max(dx, dy), 0);
  };
}

export function paintBox(picture: Picture, box: Box, colour: Colour, radius = 0): void {
  paint(picture, { field: roundedBox(box, radius), colour, box: grown(box, 1) });
}

export function grown(box: Box, by: number): Box {
  return { left: box.left - by, top: box.top - by, right: box.right + by, bottom: box.bottom + by };
}
