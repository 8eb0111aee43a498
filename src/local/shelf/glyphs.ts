import { grown, paint, type Box, type Picture } from './canvas.ts';
import type { Colour } from './colour.ts';
import { max, min, sqrt } from './maths.ts';

/**
 * A pen alphabet: polylines on a grid of 4 by 6, `x y` in pairs, strokes parted by a comma. Drawn by ourselves, since
 * a machine without fonts must draw the same shelf.
 */
const STROKES: Readonly<Record<string, string>> = {
  A: '06 20 46,14 34',
  B: '00 06 36 45 44 33 03,33 42 41 30 00',
  C: '41 30 10 01 05 16 36 45',
  D: '00 06 26 44 42 20 00',
  E: '40 00 06 46,03 33',
  F: '40 00 06,03 33',
  G: '41 30 10 01 05 16 36 45 43 23',
  H: '00 06,40 46,03 43',
  I: '20 26,10 30,16 36',
  J: '40 45 36 16 05',
  K: '00 06,40 03 46',
  L: '00 06 46',
  M: '06 00 23 40 46',
  N: '06 00 46 40',
  O: '10 30 41 45 36 16 05 01 10',
  P: '06 00 30 41 42 33 03',
  Q: '10 30 41 45 36 16 05 01 10,24 46',
  R: '06 00 30 41 42 33 03,23 46',
  S: '41 30 10 01 02 13 33 44 45 36 16 05',
  T: '00 40,20 26',
  U: '00 05 16 36 45 40',
  V: '00 26 40',
  W: '00 16 22 36 40',
  X: '00 46,40 06',
  Y: '00 23 40,23 26',
  Z: '00 40 06 46',
  '0': '10 30 41 45 36 16 05 01 10',
  '1': '11 20 26,16 36',
  '2': '01 10 30 41 42 06 46',
  '3': '00 40 23 33 44 45 36 16 05',
  '4': '36 30 04 44',
  '5': '40 00 02 32 43 45 36 06',
  '6': '40 20 02 05 16 36 45 44 33 03',
  '7': '00 40 16',
  '8': '13 02 01 10 30 41 42 33 13 04 05 16 36 45 44 33',
  '9': '06 26 44 41 30 10 01 02 13 43',
};

/** Start x, start y, end x, end y of each line, four numbers a line. */
type Segments = readonly number[];

function parse(text: string): Segments {
  const lines: number[] = [];
  for (const stroke of text.split(',')) {
    const points = stroke.split(' ').map((p) => [Number(p[0]), Number(p[1])] as const);
    for (let i = 1; i < points.length; i++) {
      const [from, to] = [points[i - 1], points[i]];
      if (from !== undefined && to !== undefined) lines.push(...from, ...to);
    }
  }
  return lines;
}

const SEGMENTS: ReadonlyMap<string, Segments> = new Map(
  Object.entries(STROKES).map(([k, v]) => [k, parse(v)]),
);
const ADVANCE = 5.6; // a letter's width with the gap behind it, in grid units

/** Squared distance to the nearest line, in grid units. */
function nearest(segments: Segments, x: number, y: number): number {
  let best = 1e9;
  for (let i = 0; i < segments.length; i += 4) {
    const ax = segments[i] ?? 0;
    const ay = segments[i + 1] ?? 0;
    const dx = (segments[i + 2] ?? 0) - ax;
    const dy = (segments[i + 3] ?? 0) - ay;
    const t = min(1, max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)));
    const d = (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2;
    if (d < best) best = d;
  }
  return best;
}

/** Distance field of one letter on its 4 by 6 grid, positive within the pen's half width (grid units). */
export function glyphField(letter: string, halfPen: number): (x: number, y: number) => number {
  const segments = SEGMENTS.get(letter);
  return segments === undefined ? () => -1 : (x, y) => halfPen - sqrt(nearest(segments, x, y));
}

/**
 * Writes a line of capitals and digits into the box, as large as fits, centred. `pen` is the stroke's half width on
 * the letter's grid of 4 by 6: 0.3 thin, 0.7 heavy.
 */
export function write(
  picture: Picture,
  line: { text: string; box: Box; colour: Colour; pen?: number },
): void {
  const { box, colour, pen = 0.5 } = line;
  const letters = Array.from(line.text.toUpperCase());
  const columns = letters.length * ADVANCE - (ADVANCE - 4) + 2 * pen;
  const unit = min((box.right - box.left) / columns, (box.bottom - box.top) / (6 + 2 * pen));
  const left = (box.left + box.right - (columns - 2 * pen) * unit) / 2;
  const top = (box.top + box.bottom - 6 * unit) / 2;
  letters.forEach((letter, i) => {
    const field = glyphField(letter, pen);
    const x0 = left + i * ADVANCE * unit;
    const cell = { left: x0, top, right: x0 + 4 * unit, bottom: top + 6 * unit };
    paint(picture, {
      field: (x, y) => field((x - x0) / unit, (y - top) / unit),
      colour,
      box: grown(cell, pen * unit + 1),
    });
  });
}
