import type { KeySpace } from './key-space.ts';
import { ALL_KEYS, evenly, numberOf, uuidOf, type NumberRange } from './uuid-keys.ts';

/** Keys as far as they are known, to be cut into ranges. */
export interface KnownKeys {
  readonly count: number;
  /** Ranges with about as many keys each. */
  cut(parts: number): Promise<Cut>;
}

export interface Cut {
  /** Between one range and the next, in order: one less than there are ranges. */
  bounds: string[];
  /** Keys of each range. */
  counts: number[];
}

/** So many keys are read, and cut exactly. */
const FEW = 10_000;
/** Ranges in which many keys are counted first. */
const CELLS = 256;
/** Cells of a part: its share is met to half of one at each end, so to a quarter. */
const CELLS_A_PART = 4;
/** Into how many a cell with too many keys is divided at most, and at how many requests it is left at that. */
const MOST_PIECES = 64;
const MOST_REQUESTS = 4_000;

interface Cell extends NumberRange {
  count: number;
}

/** Nothing is paged through but a few thousand keys; of more, ranges are counted. */
export async function knowKeys(space: KeySpace): Promise<KnownKeys> {
  const few = await space.few(FEW);
  if (few !== undefined) return exactly(few);
  const extent = await space.extent(ALL_KEYS);
  const cells = extent === undefined ? [] : await counted(space, evenly(extent, CELLS));
  return {
    count: sum(cells),
    async cut(parts) {
      const share = sum(cells) / parts;
      return cutCells(await refined(space, cells, share / CELLS_A_PART), parts);
    },
  };
}

export function knowIds(ids: readonly string[]): KnownKeys {
  return exactly(ids.toSorted().map(numberOf));
}

function exactly(keys: readonly bigint[]): KnownKeys {
  const cells = keys.map((key): Cell => ({ from: key, before: key + 1n, count: 1 }));
  return { count: keys.length, cut: (parts) => Promise.resolve(cutCells(cells, parts)) };
}

async function counted(space: KeySpace, ranges: readonly NumberRange[]): Promise<Cell[]> {
  const counts = await space.counts(ranges);
  return ranges.map((range, i) => ({ ...range, count: counts[i] ?? 0 }));
}

/** Divides cells until none has more keys than that, or enough was asked. */
async function refined(space: KeySpace, cells: readonly Cell[], most: number): Promise<Cell[]> {
  const isHeavy = ({ from, before, count }: Cell): boolean => count > most && before - from > 1n;
  let now = [...cells];
  while (now.some(isHeavy) && space.requests < MOST_REQUESTS) {
    const next: Cell[] = [];
    for (const cell of now) {
      if (!isHeavy(cell) || space.requests >= MOST_REQUESTS) next.push(cell);
      else next.push(...(await divided(space, cell, Math.ceil((1.5 * cell.count) / most))));
    }
    now = next;
  }
  return now;
}

/** Ids may lie together anywhere in their cell: only what is between the first and the last of them is divided. */
async function divided(space: KeySpace, cell: Cell, pieces: number): Promise<Cell[]> {
  const extent = await space.extent(cell);
  if (extent === undefined) return [];
  return counted(space, evenly(extent, Math.min(pieces, MOST_PIECES)));
}

/** Cuts where the cell begins that is next to a part's share. Of no keys, all that there could be are cut. */
function cutCells(cells: readonly Cell[], parts: number): Cut {
  const total = sum(cells);
  if (total === 0) {
    const bounds = evenly(ALL_KEYS, parts).slice(1);
    return { bounds: bounds.map(({ from }) => uuidOf(from)), counts: new Array<number>(parts).fill(0) };
  }
  const bounds: string[] = [];
  const counts: number[] = [];
  let at = 0;
  let before = 0;
  let cutAt = 0;
  for (let part = 1; part < parts; part += 1) {
    const share = (total * part) / parts;
    // Its beginning is a bound, so the last cell is the last part's.
    for (let cell = cells[at]; at < cells.length - 1 && cell !== undefined; cell = cells[at]) {
      if (before + cell.count / 2 > share) break;
      before += cell.count;
      at += 1;
    }
    bounds.push(uuidOf(cells[at]?.from ?? ALL_KEYS.from));
    counts.push(before - cutAt);
    cutAt = before;
  }
  return { bounds, counts: [...counts, total - cutAt] };
}

function sum(cells: readonly Cell[]): number {
  return cells.reduce((n, { count }) => n + count, 0);
}
