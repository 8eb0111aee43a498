import { paint, type Picture } from './canvas.ts';
import type { Colour } from './colour.ts';

export const MOTIFS = [
  'disc',
  'heart',
  'star',
  'flower',
  'drop',
  'leaf',
  'moon',
  'ring',
  'peaks',
  'plus',
  'fish',
  'sun',
  'cup',
] as const;
export type MotifName = (typeof MOTIFS)[number];

const disc = (x: number, y: number, r: number) => r - Math.hypot(x, y);

/** Each motif on the square -1..1, y downward, positive inside. */
const FIELDS: Readonly<Record<MotifName, (x: number, y: number) => number>> = {
  disc: (x, y) => disc(x, y, 0.85),
  heart: (x, y) => {
    const [u, v] = [x * 1.2, -y * 1.2 + 0.1];
    const k = u * u + v * v - 1;
    return u * u * v * v * v - k * k * k;
  },
  star: (x, y) => 0.95 * (0.62 + 0.38 * Math.cos(5 * Math.atan2(x, -y))) - Math.hypot(x, y),
  flower: (x, y) => 0.9 * (0.78 + 0.22 * Math.cos(8 * Math.atan2(x, -y))) - Math.hypot(x, y),
  drop: (x, y) =>
    Math.max(disc(x, y - 0.3, 0.62), Math.min(y + 0.95, 0.3 - y + 0.2, 0.5 * (y + 0.95) - Math.abs(x))),
  leaf: (x, y) => {
    const [u, v] = [(x + y) * 0.71, (x - y) * 0.71];
    return Math.min(
      1.25 - Math.hypot(u, v - 0.85),
      1.25 - Math.hypot(u, v + 0.85),
      Math.abs(v + 0.01) * 4 - 0.12,
    );
  },
  moon: (x, y) => Math.min(disc(x, y, 0.9), -disc(x - 0.42, y + 0.2, 0.72)),
  ring: (x, y) => 0.24 - Math.abs(Math.hypot(x, y) - 0.66),
  peaks: (x, y) =>
    Math.min(0.75 - y, Math.max(y + 0.85 - 1.5 * Math.abs(x - 0.15), y + 0.3 - 1.5 * Math.abs(x + 0.5))),
  plus: (x, y) =>
    Math.max(Math.min(0.3 - Math.abs(x), 0.9 - Math.abs(y)), Math.min(0.3 - Math.abs(y), 0.9 - Math.abs(x))),
  fish: (x, y) =>
    Math.max(
      0.45 - Math.hypot((x + 0.15) * 0.62, y),
      Math.min(x - 0.35, 0.95 - x, (x - 0.35) * 0.9 - Math.abs(y) + 0.05),
    ),
  sun: (x, y) =>
    Math.max(
      disc(x, y, 0.5),
      Math.min(disc(x, y, 0.95), -disc(x, y, 0.6), Math.cos(12 * Math.atan2(y, x)) * 0.1),
    ),
  cup: (x, y) =>
    Math.max(
      Math.min(0.8 - y, y + 0.5, 0.62 - 0.16 * y - Math.abs(x + 0.15)),
      Math.min(0.1 - Math.abs(Math.hypot(x - 0.48, y) - 0.33), x - 0.4),
    ),
};

/** Paints a motif around its centre; `size` is half its width in pixels. */
export function paintMotif(
  picture: Picture,
  motif: { name: MotifName; x: number; y: number; size: number; colour: Colour },
): void {
  const { x, y, size } = motif;
  const field = FIELDS[motif.name];
  paint(picture, {
    field: (px, py) => field((px - x) / size, (py - y) / size),
    colour: motif.colour,
    box: { left: x - size, top: y - size, right: x + size, bottom: y + size },
  });
}
