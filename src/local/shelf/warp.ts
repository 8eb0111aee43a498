import type { Picture } from './canvas.ts';
import { floor, max, min } from './maths.ts';

type Point = readonly [x: number, y: number];
/** Upper left, upper right, lower right, lower left. */
export type Quad = readonly [Point, Point, Point, Point];

/**
 * What a camera sees of a flat scene: the quadrangle becomes the whole new picture, by a true perspective (homography
 * from the unit square, Heckbert 1989), each pixel read bilinearly; the scene's edge is repeated outwards.
 */
export function warp(scene: Picture, quad: Quad, size: { width: number; height: number }): Float32Array {
  const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = quad;
  const sx = x0 - x1 + x2 - x3;
  const sy = y0 - y1 + y2 - y3;
  const [dx1, dx2, dy1, dy2] = [x1 - x2, x3 - x2, y1 - y2, y3 - y2];
  const det = dx1 * dy2 - dx2 * dy1;
  const g = (sx * dy2 - dx2 * sy) / det;
  const h = (dx1 * sy - sx * dy1) / det;
  const [a, b] = [x1 - x0 + g * x1, x3 - x0 + h * x3];
  const [d, e] = [y1 - y0 + g * y1, y3 - y0 + h * y3];
  const { width, height } = size;
  const out = new Float32Array(width * height * 3);
  for (let j = 0; j < height; j++) {
    const v = (j + 0.5) / height;
    for (let i = 0; i < width; i++) {
      const u = (i + 0.5) / width;
      const w = g * u + h * v + 1;
      readBilinear(
        scene,
        (a * u + b * v + x0) / w - 0.5,
        (d * u + e * v + y0) / w - 0.5,
        out,
        (j * width + i) * 3,
      );
    }
  }
  return out;
}

function readBilinear(scene: Picture, x: number, y: number, out: Float32Array, at: number): void {
  const { width, height, data } = scene;
  const cx = min(width - 1.001, max(0, x));
  const cy = min(height - 1.001, max(0, y));
  const ix = floor(cx);
  const iy = floor(cy);
  const fx = cx - ix;
  const fy = cy - iy;
  const from = (iy * width + ix) * 3;
  const below = from + width * 3;
  for (let c = 0; c < 3; c++) {
    const top = (data[from + c] ?? 0) * (1 - fx) + (data[from + 3 + c] ?? 0) * fx;
    const bottom = (data[below + c] ?? 0) * (1 - fx) + (data[below + 3 + c] ?? 0) * fx;
    out[at + c] = top * (1 - fy) + bottom * fy;
  }
}
