import type { Box, Field } from './canvas.ts';
import { glyphField } from './glyphs.ts';
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

const TAU = 2 * Math.PI;
/** Distance to the middle of the repeat, in -0.5..0.5. */
const fold = (t: number) => t - Math.floor(t) - 0.5;

/** The pattern as a smooth landscape over x, y in repeats; where to cut it is `levelFor`'s business. */
function landscape(name: PatternName, phase: number): Field {
  switch (name) {
    case 'bars':
      return (_x, y) => Math.cos(TAU * (y + phase));
    case 'columns':
      return (x) => Math.cos(TAU * (x + phase));
    case 'diagonals':
      return (x, y) => Math.cos(TAU * (x * 0.71 + y * 0.71 + phase));
    case 'dots':
      return (x, y) => {
        const row = Math.floor(y + phase);
        return -Math.hypot(fold(x + (row & 1) * 0.5), fold(y + phase));
      };
    case 'waves':
      return (x, y) => Math.cos(TAU * (y + phase + 0.3 * Math.sin(TAU * x * 0.6)));
    case 'checks':
      return (x, y) => Math.sin(Math.PI * (x + phase)) * Math.sin(Math.PI * (y + phase));
    case 'chevrons':
      return (x, y) => Math.cos(TAU * (y + phase + 1.2 * Math.abs(fold(x * 0.5))));
    case 'rings':
      return (x, y) => Math.cos(TAU * (Math.hypot(x, y - phase) * 0.9));
    case 'diamonds':
      return (x, y) => -Math.abs(fold(x * 0.8)) - 0.6 * Math.abs(fold(y * 0.55 + phase));
    case 'bricks':
      return (x, y) => {
        const row = Math.floor(y + phase);
        return -Math.max(Math.abs(fold(x * 0.5 + (row & 1) * 0.5)), Math.abs(fold(y + phase)) * 0.85);
      };
    case 'rays':
      return (x, y) => Math.cos(Math.atan2(y - 0.4, x) * 11 + phase);
    case 'blobs': {
      const random = createRandom('blobs', Math.round(phase * 1000));
      const waves = Array.from({ length: 6 }, (_, i) => {
        const angle = (i + random.next()) * (Math.PI / 6);
        return [Math.cos(angle), Math.sin(angle), random.between(0.5, 0.95), random.next()] as const;
      });
      return (x, y) =>
        waves.reduce((sum, [c, s, k, p]) => sum + Math.cos(TAU * (k * (c * x + s * y) + p)), 0);
    }
    case 'crosses':
      return (x, y) => {
        const fx = Math.abs(fold(x * 0.7));
        const fy = Math.abs(fold(y * 0.7 + phase));
        return -Math.min(Math.max(fx * 2.6, fy), Math.max(fx, fy * 2.6));
      };
    case 'scales':
      return (x, y) => {
        const row = Math.floor(y * 1.4 + phase);
        const dy = y * 1.4 + phase - row;
        return Math.cos(TAU * 1.3 * Math.hypot(fold(x + (row & 1) * 0.5), dy));
      };
  }
}

/** The height at which a landscape has the wished share of the box above it, by counting on a grid. */
export function levelFor(field: Field, box: Box, share: number): number {
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
  return heights[Math.min(heights.length - 1, Math.floor((1 - share) * heights.length))] ?? 0;
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
  const unit = Math.min((box.right - box.left) / 5.4, (box.bottom - box.top) / 7.4);
  const left = (box.left + box.right) / 2 - 2 * unit;
  const top = (box.top + box.bottom) / 2 - 3 * unit;
  const pen = glyphField(letter, 0);
  const field: Field = (x, y) => pen((x - left) / unit, (y - top) / unit);
  const level = levelFor(field, box, share);
  return (x, y) => field(x, y) - level;
}
