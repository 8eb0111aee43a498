import { storeError } from './errors.ts';

/** An unsigned 64-bit integer (a bigint above 2^53) or a uuid. */
export type PointId = string | number | bigint;

export interface Point {
  id: PointId;
  vector: Float32Array;
  payload: Record<string, unknown>;
}

/** Qdrant takes 32 MiB a request; a quarter of it keeps one request short and the memory small. */
export const MAX_REQUEST_BYTES = 8 * 1024 * 1024;
export const MAX_REQUEST_POINTS = 256;

/** A float32 as JSON has up to 22 characters, and a comma. */
const BYTES_PER_NUMBER = 23;
const BYTES_PER_POINT = 80;

const MAX_ID = 2n ** 64n - 1n;
const UUID = /^[\da-f]{8}-?[\da-f]{4}-?[\da-f]{4}-?[\da-f]{4}-?[\da-f]{12}$/i;

/**
 * The id as Qdrant writes it back: lower case, with hyphens; integers in decimal.
 * @throws StoreError `qdrant_rejected` for what Qdrant would refuse, and for a number that JavaScript cannot hold exactly
 */
export function canonicalId(id: PointId): string {
  if (typeof id === 'bigint' && id >= 0n && id <= MAX_ID) return String(id);
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return String(id);
  if (typeof id === 'string' && UUID.test(id)) {
    const hex = id.toLowerCase().replaceAll('-', '');
    return [0, 8, 12, 16, 20].map((from, i, all) => hex.slice(from, all[i + 1])).join('-');
  }
  const shown = typeof id === 'string' ? JSON.stringify(id.slice(0, 64)) : String(id);
  throw storeError('qdrant_rejected', `${shown} is no point id: an unsigned 64-bit integer or a uuid is`);
}

/** The id for a request. The client's types know no bigint, its serialisation does: all digits are sent. */
export function toQdrantId(id: PointId): string | number {
  const text = canonicalId(id);
  return typeof id === 'string' ? text : (id as number);
}

/** @throws StoreError `qdrant_rejected` where a component is NaN or infinite: JSON would make it null */
export function toQdrantVector(vector: Float32Array, owner: string): number[] {
  const numbers = Array.from(vector);
  const bad = numbers.findIndex((v) => !Number.isFinite(v));
  if (bad === -1) return numbers;
  const text = `the vector of ${owner} has ${String(numbers[bad])} at ${String(bad)}: nothing was sent`;
  throw storeError('qdrant_rejected', text);
}

/**
 * Groups for one request each, bounded in points and in bytes of JSON; a point larger than the bound goes alone.
 * A point that is given twice is sent once, as it was given last: requests run side by side, so that their order
 * would decide otherwise.
 * @throws StoreError `qdrant_rejected` for a bad id or vector, before anything is sent
 */
export function groupPoints(points: readonly Point[]): Point[][] {
  const byId = new Map<string, Point>();
  for (const point of points) {
    const id = canonicalId(point.id);
    const bad = point.vector.findIndex((v) => !Number.isFinite(v));
    if (bad !== -1) toQdrantVector(point.vector, `point ${id}`);
    byId.set(id, point);
  }
  const groups: Point[][] = [];
  let group: Point[] = [];
  let bytes = 0;
  for (const point of byId.values()) {
    const size = estimateBytes(point);
    if (group.length >= MAX_REQUEST_POINTS || (group.length > 0 && bytes + size > MAX_REQUEST_BYTES)) {
      groups.push(group);
      group = [];
      bytes = 0;
    }
    group.push(point);
    bytes += size;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

function estimateBytes(point: Point): number {
  const payload = Buffer.byteLength(JSON.stringify(point.payload, plainNumber));
  return payload + point.vector.length * BYTES_PER_NUMBER + BYTES_PER_POINT;
}

function plainNumber(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

/**
 * A payload as JSON.parse would give it. The client makes bigints of integers above 2^53; they would make a
 * later JSON.stringify of the payload throw. Ids keep theirs.
 */
export function plainPayload(payload: unknown): Record<string, unknown> {
  return typeof payload === 'object' && payload !== null ? (plain(payload) as Record<string, unknown>) : {};
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  // fromEntries defines keys such as __proto__ as plain properties; assigning would not.
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, plain(v)]));
}
