import { createHash } from 'node:crypto';

import sharp from 'sharp';

/** Side of a picture in pixels, and of the squares of one colour that it is made of. */
const SIDE = 48;
const SQUARES = 6;
const FRAME_STRIPE = 0.6;
const CAMERA_LIGHT = 1.08;

export interface PictureOptions {
  /** A frame of the product: the same squares, with a darker stripe somewhere else. */
  frame?: number;
  /** As a camera sees it: a little brighter, and a JPEG. */
  asPhoto?: boolean;
  /** One of many pictures of the same thing: each square a little off, other squares in each shot. */
  shot?: number;
}

/** A picture of the thing of that name: squares whose colours come from the name, so that every name looks different. */
export async function drawPicture(name: string, options: PictureOptions = {}): Promise<Buffer> {
  const { frame = 0, asPhoto = false, shot } = options;
  const colours = createHash('sha512').update(name).digest();
  const pixels = Buffer.alloc(SIDE * SIDE * 3);
  const off = shot === undefined ? undefined : createHash('sha512').update(`${name}/${shot}`).digest();
  const stripe = frame % SQUARES;
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      const [row, column] = [Math.floor((y * SQUARES) / SIDE), Math.floor((x * SQUARES) / SIDE)];
      const light = (column === stripe ? FRAME_STRIPE : 1) * (asPhoto ? CAMERA_LIGHT : 1);
      for (let c = 0; c < 3; c += 1) {
        const colour = colours[(row * SQUARES + column + c * 21) % colours.length] ?? 0;
        const shift = off === undefined ? 0 : ((off[(row * SQUARES + column) % off.length] ?? 0) - 128) / 4;
        pixels[(y * SIDE + x) * 3 + c] = Math.min(255, Math.max(0, colour * light + shift));
      }
    }
  }
  const image = sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } });
  return asPhoto ? image.jpeg({ quality: 85 }).toBuffer() : image.png().toBuffer();
}
