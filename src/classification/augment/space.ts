import { cutOut, resample, type Raster } from '../../image/resample.ts';
import type { Size, Window } from '../../image/geometry.ts';
import type { Random } from '../random.ts';

/** Mirrors left and right, in place. */
export function flip({ data, width, height }: Raster): void {
  for (let y = 0; y < height; y += 1) {
    const row = y * width * 3;
    for (let left = 0, right = width - 1; left < right; left += 1, right -= 1) {
      for (let channel = 0; channel < 3; channel += 1) {
        const [i, j] = [row + left * 3 + channel, row + right * 3 + channel];
        const kept = data[i] ?? 0;
        data[i] = data[j] ?? 0;
        data[j] = kept;
      }
    }
  }
}

export interface CropRange {
  /** Share of the picture's area, lowest and highest. */
  scale: readonly [number, number];
  /** Width by height. */
  ratio: readonly [number, number];
}

const CROP_TRIES = 10;

/** A random part of the picture (Szegedy et al., 2015): torchvision's `RandomResizedCrop`. */
export function randomWindow({ width, height }: Size, { scale, ratio }: CropRange, random: Random): Window {
  for (let i = 0; i < CROP_TRIES; i += 1) {
    const area = width * height * random.between(...scale);
    const aspect = Math.exp(random.between(Math.log(ratio[0]), Math.log(ratio[1])));
    const [w, h] = [Math.round(Math.sqrt(area * aspect)), Math.round(Math.sqrt(area / aspect))];
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return { left: random.below(width - w + 1), top: random.below(height - h + 1), width: w, height: h };
  }
  // Nothing fitted: the middle, as near to the ratios as the picture is.
  const aspect = Math.min(Math.max(width / height, ratio[0]), ratio[1]);
  const w = Math.max(1, Math.min(width, Math.round(height * aspect)));
  const h = Math.max(1, Math.min(height, Math.round(width / aspect)));
  return { left: (width - w) >> 1, top: (height - h) >> 1, width: w, height: h };
}

/** That part of the picture, made as large as wanted. */
export function cropTo(picture: Raster, window: Window, size: Size): Raster {
  const part = { data: cutOut(picture, window), width: window.width, height: window.height };
  if (part.width === size.width && part.height === size.height) return part;
  const all = { left: 0, top: 0, width: size.width, height: size.height };
  return { ...size, data: resample(part, size, all, 'bilinear') };
}

/** Where a pixel of the result comes from, from its offset from the middle: x' = a·x + b·y + c, y' = d·x + e·y + f. */
export type Placement = readonly [number, number, number, number, number, number];

export function rotation(degrees: number): Placement {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return [cos, sin, 0, -sin, cos, 0];
}

/** A grey that is near the middle of any normalisation. */
const FILL = 128;

/** The picture moved; sampled between pixels, and grey where it shows nothing. */
export function place({ data, width, height }: Raster, [a, b, c, d, e, f]: Placement): Raster {
  const out = new Uint8Array(data.length);
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  let to = 0;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, to += 3) {
      const fromX = a * (x - middleX) + b * (y - middleY) + c + middleX;
      const fromY = d * (x - middleX) + e * (y - middleY) + f + middleY;
      const [left, top] = [Math.floor(fromX), Math.floor(fromY)];
      if (left < 0 || top < 0 || left + 1 >= width || top + 1 >= height) {
        const inside = fromX >= 0 && fromY >= 0 && fromX <= width - 1 && fromY <= height - 1;
        const from = (Math.min(height - 1, top) * width + Math.min(width - 1, left)) * 3;
        for (let k = 0; k < 3; k += 1) out[to + k] = inside ? (data[from + k] ?? 0) : FILL;
        continue;
      }
      const [rightShare, bottomShare] = [fromX - left, fromY - top];
      const from = (top * width + left) * 3;
      const below = from + width * 3;
      for (let k = 0; k < 3; k += 1) {
        const upper = (data[from + k] ?? 0) * (1 - rightShare) + (data[from + 3 + k] ?? 0) * rightShare;
        const lower = (data[below + k] ?? 0) * (1 - rightShare) + (data[below + 3 + k] ?? 0) * rightShare;
        out[to + k] = Math.round(upper * (1 - bottomShare) + lower * bottomShare);
      }
    }
  }
  return { data: out, width, height };
}

/** A rectangle of random values (Zhong et al., 2017), in place. */
export function erase(
  { data, width, height }: Raster,
  share: readonly [number, number],
  random: Random,
): void {
  const area = width * height * random.between(...share);
  const aspect = Math.exp(random.between(Math.log(1 / 3), Math.log(3)));
  const w = Math.min(width, Math.max(1, Math.round(Math.sqrt(area * aspect))));
  const h = Math.min(height, Math.max(1, Math.round(Math.sqrt(area / aspect))));
  const [left, top] = [random.below(width - w + 1), random.below(height - h + 1)];
  for (let y = top; y < top + h; y += 1) {
    const row = (y * width + left) * 3;
    for (let i = row; i < row + w * 3; i += 1) data[i] = random.below(256);
  }
}
