import sharp, { type Sharp } from 'sharp';

import type { Colour } from './expected.ts';

/** Of the picture that most of the corpus is made of. */
export const SIZE = 64;
export const QUARTERS: readonly [Colour, Colour, Colour, Colour] = [
  [200, 50, 20],
  [20, 160, 60],
  [40, 70, 210],
  [230, 220, 90],
];

/** Four quarters of one colour each, so that a picture turned, mirrored or in wrong colours shows. */
export function quarters(size = SIZE, colours = QUARTERS): Buffer {
  const pixels = Buffer.alloc(size * size * 3);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const colour = colours[(y < size / 2 ? 0 : 2) + (x < size / 2 ? 0 : 1)];
      pixels.set(colour ?? [], (y * size + x) * 3);
    }
  }
  return pixels;
}

export function picture(size = SIZE): Sharp {
  return sharp(quarters(size), { raw: { width: size, height: size, channels: 3 } });
}

/** A picture of one colour, or half transparent where a fourth number is given. */
export function plain(width: number, height: number, colour: readonly number[] = [200, 50, 20]): Sharp {
  const [r = 0, g = 0, b = 0, alpha = 255] = colour;
  const channels = colour.length > 3 ? 4 : 3;
  return sharp({
    create: { width, height, channels, background: { r, g, b, alpha: alpha / 255 } },
    limitInputPixels: false,
  });
}
