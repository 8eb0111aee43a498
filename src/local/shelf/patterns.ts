import type { Box, Field } from './canvas.ts';
import { glyphField } from './glyphs.ts';
import { PI, abs, atan2, cos, floor, hypot, max, min, round, sin } from './maths.ts';
import { createRandom } from './random.ts';

export const PATTERNS = [
  'bars',
  'columns',
  'diagonals',
  'dots',
  'waves',
  'checks',
  'chevrons',
  'rings',
  'diamonds',
  'bricks',
  'rays',
  'blobs',
  'crosses',
  'scales',
] as const;
export type PatternName = (typeof PATTERNS)[number];

export interface Pattern {
  name: PatternName;
  /** Length of one repeat, as a share of the panel's height. */
  period: number;
  /** Moves the pattern, in repeats. */
  phase: number;
}

const TAU = 2 * PI;
/** Distance to the middle of the repeat, in -0.5..0.5. */
const fold = (t: number) => t - floor(t) - 0.5;

/** The pattern as a smooth landscape over x, y in repeats; where to cut it is `levelFor`'s business. */
function landscape(name: PatternName, phase: number): Field {
  switch (name) {
    case 'bars':
      return (_x, y) => cos(TAU * (y + phase));
    case 'columns':
      return (x) => cos(TAU * (x + phase));
    case 'diagonals':
      return (x, y) => cos(TAU * (x * 0.71 + y * 0.71 + phase));
    case 'dots':
      return (x, y) => {
        const row = floor(y + phase);
        return -hypot(fold(x + (row & 1) * 0.5), fold(y + phase));
      };
    case 'waves':
      return (x, y) => cos(TAU * (y + phase + 0.3 * sin(TAU * x * 0.6)));
    case 'checks':
      return (x, y) => sin(PI * (x + phase)) * sin(PI * (y + phase));
    case 'chevrons':
      return (x, y) => cos(TAU * (y + phase + 1.2 * abs(fold(x * 0.5))));
    case 'rings':
      return (x, y) => cos(TAU * (hypot(x, y - phase) * 0.9));
    case 'diamonds':
      return (x, y) => -abs(fold(x * 0.8)) - 0.6 * abs(fold(y * 0.55 + phase));
    case 'bricks':
      return (x, y) => {
        const row = floor(y + phase);
        return -max(abs(fold(x * 0.5 + (row & 1) * 0.5)), abs(fold(y + phase)) * 0.85);
      };
    case 'rays':
      return (x, y) => cos(atan2(y - 0.4, x) * 11 + phase);
    case 'blobs': {
      const random = createRandom('blobs', round(phase * 1000));
      const waves = Array.from({ length: 6 }, (_, i) => {
        const angle = (i + random.next()) * (PI / 6);
        return [cos(angle), sin(angle), random.between(0.5, 0.95), random.next()] as const;
      });
      return (x, y) => waves.reduce((sum, [c, s, k, p]) => sum + cos(TAU * (k * (c * x + s * y) + p)), 0);
    }
    case 'crosses':
      return (x, y) => {
        const fx = abs(fold(x * 0.7));
        const fy = abs(fold(y * 0.7 + phase));
        return -min(max(fx * 2.6, fy), max(fx, fy * 2.6));
      };
    case 'scales':
      return (x, y) => {
        const row = floor(y * 1.4 + phase);
        const dy = y * 1.4 + phase - row;
        return cos(TAU * 1.3 * hypot(fold(x + (row & 1) * 0.5), dy));
      };
  }
}

/** The height at which a landscape has the wished share of the box above it, by counting on a grid. */
function levelFor(field: Field, box: Box, share: number): number {
  const steps = 72;
  const heights = new Float32Array(steps * steps);
  for (let i = 0; i < steps; i++) {
    for (let j = 0; j < steps; j++) {
      const x = box.left + ((i + 0.5) / steps) * (box.right - box.left);
      const y = box.top + ((j + 0.5) / steps) * (box.bottom - box.top);
      heights[i * steps + j] = field(x, y);
    }
  }
  heights.sort();
  return heights[min(heights.length - 1, floor((1 - share) * heights.length))] ?? 0;
}

/** The pattern cut so that exactly the given share of the box is inked: two patterns of one share have one mean. */
export function patternField(pattern: Pattern, box: Box, share: number): Field {
  const unit = pattern.period * (box.bottom - box.top);
  const cx = (box.left + box.right) / 2;
  const cy = (box.top + box.bottom) / 2;
  const land = landscape(pattern.name, pattern.phase);
  const field: Field = (x, y) => land((x - cx) / unit, (y - cy) / unit);
  const level = levelFor(field, box, share);
  return (x, y) => field(x, y) - level;
}

/** One huge letter that covers the given share of the box. */
export function letterField(letter: string, box: Box, share: number): Field {
  const unit = min((box.right - box.left) / 5.4, (box.bottom - box.top) / 7.4);
  const left = (box.left + box.right) / 2 - 2 * unit;
  const top = (box.top + box.bottom) / 2 - 3 * unit;
  const pen = glyphField(letter, 0);
  const field: Field = (x, y) => pen((x - left) / unit, (y - top) / unit);
  const level = levelFor(field, box, share);
  return (x, y) => field(x, y) - level;
}
