import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import sharp, { type Sharp } from 'sharp';

import { randomNumbers } from '../../src/model/small/random.ts';

/** Pictures that all others are cut from. */
const CANVASES = 4;
const CANVAS_PX = 1_400;
const PICTURE_PX = 1_000;
/** Sizes of the details, in pixels; each next one half as strong, as in photographs. */
const DETAILS_PX = [350, 175, 88, 44, 22, 11, 6, 3];
const FALL_OFF = 0.7;
/** A camera's noise: standard deviation in 255ths. */
const NOISE = 4;
const QUALITY = 85;

export const pictureName = (i: number): string => `${String(i).padStart(4, '0')}.jpg`;

/**
 * Draws so many different JPEGs of 1000 x 1000 into a folder: coloured noise whose strength falls with its frequency as
 * that of photographs does, patches with hard edges, a camera's noise. Some 250 kB each: what decoding costs is what it
 * costs with photographs.
 */
export async function drawPictures(folder: string, count: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const canvases = await Promise.all(Array.from({ length: CANVASES }, (_, i) => drawCanvas(i + 1)));
  const random = randomNumbers(99);
  const place = (): number => Math.floor(((random() + 1) / 2) * (CANVAS_PX - PICTURE_PX));
  const draw = async (i: number): Promise<void> => {
    const window = { left: place(), top: place(), width: PICTURE_PX, height: PICTURE_PX };
    const picture = fromRaw(canvases[i % CANVASES] ?? Buffer.alloc(0)).extract(window);
    const turned = i % 3 === 0 ? picture.flip() : i % 3 === 1 ? picture.flop() : picture;
    await writeFile(join(folder, pictureName(i)), await turned.jpeg({ quality: QUALITY }).toBuffer());
  };
  for (let i = 0; i < count; i += CANVASES) {
    await Promise.all(Array.from({ length: Math.min(CANVASES, count - i) }, (_, k) => draw(i + k)));
  }
}

const fromRaw = (pixels: Buffer): Sharp =>
  sharp(pixels, { raw: { width: CANVAS_PX, height: CANVAS_PX, channels: 3 } });

async function drawCanvas(seed: number): Promise<Buffer> {
  const random = randomNumbers(seed);
  const sum = new Float32Array(CANVAS_PX ** 2 * 3).fill(128);
  for (const [i, detail] of DETAILS_PX.entries()) {
    const strength = 90 * FALL_OFF ** i;
    const layer = await noise(Math.ceil(CANVAS_PX / detail) + 1, random);
    for (let p = 0; p < sum.length; p += 1)
      sum[p] = (sum[p] ?? 0) + ((layer[p] ?? 0) - 128) * (strength / 128);
  }
  for (let i = 0; i < 60; i += 1) patch(sum, random);
  return Buffer.from(Uint8ClampedArray.from(sum, (v) => v + (random() + random() + random()) * NOISE));
}

/** Random colours on a grid, drawn out smoothly over the canvas. */
async function noise(side: number, random: () => number): Promise<Buffer> {
  const grid = Uint8Array.from({ length: side * side * 3 }, () => 128 + random() * 127);
  const raw = { width: side, height: side, channels: 3 } as const;
  return sharp(grid, { raw }).resize(CANVAS_PX, CANVAS_PX, { kernel: 'cubic', fit: 'fill' }).raw().toBuffer();
}

/** A lighter or darker rectangle with hard edges. */
function patch(sum: Float32Array, random: () => number): void {
  const at = (range: number): number => Math.floor(((random() + 1) / 2) * range);
  const [left, top, width, height] = [at(CANVAS_PX), at(CANVAS_PX), 20 + at(200), 20 + at(200)];
  const change = [random() * 70, random() * 70, random() * 70];
  for (let y = top; y < Math.min(CANVAS_PX, top + height); y += 1) {
    for (let x = left; x < Math.min(CANVAS_PX, left + width); x += 1) {
      for (const [c, by] of change.entries()) {
        const p = (y * CANVAS_PX + x) * 3 + c;
        sum[p] = (sum[p] ?? 0) + by;
      }
    }
  }
}
