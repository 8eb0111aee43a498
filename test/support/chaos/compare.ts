import { isDeepStrictEqual } from 'node:util';

import type { TestPoint } from '../job.ts';
import type { EndState, Rows } from './state.ts';

export interface Differences {
  /** Points, rows and marks that the reference has and this state has not, or has otherwise. */
  lost: number;
  /** Points and rows that the reference has not. */
  doubled: number;
  /** Cutouts whose row says that they have a point, and they have none, or failed. */
  wronglyMarked: number;
  /** The first of them, in words. */
  first: string[];
}

const VECTOR_TOLERANCE = 1e-6;
const SHOWN = 12;

/** Counts where the end of a run differs from the reference: each thing once for each way in which it is wrong. */
export function compareStates(reference: EndState, state: EndState): Differences {
  const found: Differences = { lost: 0, doubled: 0, wronglyMarked: 0, first: [] };
  const add = (what: 'lost' | 'doubled' | 'wronglyMarked', text: string): void => {
    found[what] += 1;
    if (found.first.length < SHOWN) found.first.push(`${what}: ${text}`);
  };
  comparePoints(reference, state, add);
  for (const [table, rows] of Object.entries(reference.tables)) {
    compareRows(table, rows, state.tables[table as keyof EndState['tables']], add);
  }
  compareMarks(reference, state, add);
  return found;
}

type Add = (what: 'lost' | 'doubled' | 'wronglyMarked', text: string) => void;

function comparePoints(reference: EndState, state: EndState, add: Add): void {
  for (const name of new Set([...reference.points.keys(), ...state.points.keys()])) {
    const [expected, found] = [reference.points.get(name), state.points.get(name)];
    if (found === undefined) add('lost', `collection ${name}`);
    if (expected === undefined) add('doubled', `collection ${name}`);
    for (const [id, point] of expected ?? []) {
      const other = found?.get(id);
      if (other === undefined) add('lost', `point ${id} of ${name}`);
      else if (!samePoint(point, other)) add('lost', `point ${id} of ${name}: ${difference(point, other)}`);
    }
    for (const id of found?.keys() ?? []) {
      if (expected?.has(id) !== true) add('doubled', `point ${id} of ${name}`);
    }
  }
}

function samePoint(expected: TestPoint, found: TestPoint): boolean {
  return isDeepStrictEqual(expected.payload, found.payload) && sameVector(expected.vector, found.vector);
}

function sameVector(expected: readonly number[], found: readonly number[]): boolean {
  return (
    expected.length === found.length &&
    expected.every((value, i) => Math.abs(value - (found[i] ?? Infinity)) <= VECTOR_TOLERANCE)
  );
}

function difference(expected: TestPoint, found: TestPoint): string {
  if (!sameVector(expected.vector, found.vector)) return 'another vector';
  return `${JSON.stringify(found.payload)} in place of ${JSON.stringify(expected.payload)}`;
}

function compareRows(table: string, expected: Rows, found: Rows, add: Add): void {
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    const [wanted, there] = [expected.get(key) ?? [], found.get(key) ?? []];
    for (let i = 0; i < Math.max(wanted.length, there.length); i += 1) {
      const [row, other] = [wanted[i], there[i]];
      if (other === undefined) add('lost', `${table} row ${key}`);
      else if (row === undefined) add('doubled', `${table} row ${key}: ${JSON.stringify(other)}`);
      else if (!isDeepStrictEqual(row, other))
        add('lost', `${table} row ${key}: ${JSON.stringify(other)} in place of ${JSON.stringify(row)}`);
    }
  }
}

/** A mark is judged by the points and failures of its own state first, and then by the reference. */
function compareMarks(reference: EndState, state: EndState, add: Add): void {
  const points = new Set([...state.points.values()].flatMap((collection) => [...collection.keys()]));
  const failed = new Set([...state.tables.failures.values()].flat().map((row) => row.image_id));
  const [expected, found] = [new Map(reference.cutouts), new Map<string, readonly EndStateRow[]>()];
  for (const [id, rows] of state.cutouts) {
    const right = rows.filter((row) => {
      const names = row.has_embedding === true || row.qdrant_point_id !== null;
      const wrong = names && (!points.has(String(row.qdrant_point_id)) || failed.has(id));
      if (wrong) add('wronglyMarked', `cutout ${id}: ${JSON.stringify(row)}`);
      return !wrong;
    });
    if (right.length === rows.length) found.set(id, rows);
    else expected.delete(id);
  }
  compareRows('cutouts', expected, found, add);
}

type EndStateRow = Record<string, unknown>;
