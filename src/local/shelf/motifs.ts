import { paint, type Picture } from './canvas.ts';
import type { Colour } from './colour.ts';
import { abs, atan2, cos, hypot, max, min, floor, sqrt } from './maths.ts';

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

const disc = (x: number, y: number, r: number) => r - hypot(x, y);

/** Each motif on the square -1..1, y downward, positive inside. */
const FIELDS: Readonly<Record<MotifName, (x: number, y: number) => number>> = {
  disc: (x, y) => disc(x, y, 0.85),
  heart: (x, y) => {
    const [u, v] = [x * 1.2, -y * 1.2 + 0.1];
    const k = u * u + v * v - 1;
    return u * u * v * v * v - k * k * k;
  },
  star: (x, y) => 0.95 * (0.62 + 0.38 * cos(5 * atan2(x, -y))) - hypot(x, y),
  flower: (x, y) => 0.9 * (0.78 + 0.22 * cos(8 * atan2(x, -y))) - hypot(x, y),
  drop: (x, y) => max(disc(x, y - 0.3, 0.62), min(y + 0.95, 0.3 - y + 0.2, 0.5 * (y + 0.95) - abs(x))),
  leaf: (x, y) => {
    const [u, v] = [(x + y) * 0.71, (x - y) * 0.71];
    return min(1.25 - hypot(u, v - 0.85), 1.25 - hypot(u, v + 0.85), abs(v + 0.01) * 4 - 0.12);
  },
  moon: (x, y) => min(disc(x, y, 0.9), -disc(x - 0.42, y + 0.2, 0.72)),
  ring: (x, y) => 0.24 - abs(hypot(x, y) - 0.66),
  peaks: (x, y) => min(0.75 - y, max(y + 0.85 - 1.5 * abs(x - 0.15), y + 0.3 - 1.5 * abs(x + 0.5))),
  plus: (x, y) => max(min(0.3 - abs(x), 0.9 - abs(y)), min(0.3 - abs(y), 0.9 - abs(x))),
  fish: (x, y) =>
    max(0.45 - hypot((x + 0.15) * 0.62, y), min(x - 0.35, 0.95 - x, (x - 0.35) * 0.9 - abs(y) + 0.05)),
  sun: (x, y) => max(disc(x, y, 0.5), min(disc(x, y, 0.95), -disc(x, y, 0.6), cos(12 * atan2(y, x)) * 0.1)),
  cup: (x, y) =>
    max(
      min(0.8 - y, y + 0.5, 0.62 - 0.16 * y - abs(x + 0.15)),
      min(0.1 - abs(hypot(x - 0.48, y) - 0.33), x - 0.4),
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

/** Half the width at which a motif covers the given area (in the unit of the width, squared), by counting. */
export function sizeForArea(name: MotifName, area: number): number {
  const steps = 64;
  let inside = 0;
  for (let i = 0; i < steps * steps; i++) {
    const x = (2 * ((i % steps) + 0.5)) / steps - 1;
    const y = (2 * (floor(i / steps) + 0.5)) / steps - 1;
    if (FIELDS[name](x, y) > 0) inside++;
  }
  return sqrt((area * steps * steps) / (4 * inside));
}
