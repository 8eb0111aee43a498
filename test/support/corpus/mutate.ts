import { withChecksums } from './png.ts';

/** A generator of numbers that are the same for the same seed: mulberry32. */
export type Dice = (sides: number) => number;

export function dice(seed: number): Dice {
  let state = seed >>> 0;
  return (sides) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % sides;
  };
}

/** Numbers at which things tend to break: sizes, lengths, counts. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];
/** Where headers are. */
const HEAD_BYTES = 64;
const SIGNATURE_BYTES = 12;
const MAX_CHANGES = 5;

type Change = (bytes: Buffer, roll: Dice, other: Uint8Array) => Buffer;

/** A cut ends most files at once: one among many. */
const CHANGES: readonly Change[] = [
  flipBit,
  flipBit,
  setByte,
  setByte,
  setNumber,
  setNumber,
  setNumber,
  repeat,
  splice,
  remove,
  cut,
];

/** The file with a few changes: bits, numbers in headers and chunks, cuts, pieces doubled or from another file. */
export function mutate(file: Uint8Array, other: Uint8Array, roll: Dice): Buffer {
  let bytes: Buffer = Buffer.from(file);
  const changes = 1 + roll(MAX_CHANGES);
  for (let i = 0; i < changes && bytes.length > 0; i += 1) {
    const change = CHANGES[roll(CHANGES.length)];
    if (change !== undefined) bytes = change(bytes, roll, other);
  }
  // Most changed PNGs would be refused for their checksums alone.
  return roll(4) > 0 ? withChecksums(bytes) : bytes;
}

/** Half of all changes are made where the headers are, few in the signature: without it nothing is decoded. */
function place(bytes: Uint8Array, roll: Dice): number {
  const from = roll(16) === 0 ? 0 : Math.min(SIGNATURE_BYTES, bytes.length - 1);
  const length = bytes.length - from;
  return from + roll(roll(2) === 0 ? Math.min(HEAD_BYTES, length) : length);
}

function flipBit(bytes: Buffer, roll: Dice): Buffer {
  const at = place(bytes, roll);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << roll(8)), at);
  return bytes;
}

function setByte(bytes: Buffer, roll: Dice): Buffer {
  bytes.writeUInt8(roll(256), place(bytes, roll));
  return bytes;
}

/** A number of 2, 3 or 4 bytes, either end first: a dimension, a chunk's length, a count, an offset. */
function setNumber(bytes: Buffer, roll: Dice): Buffer {
  const size = 2 + roll(3);
  const at = place(bytes, roll);
  const value = (EDGES[roll(EDGES.length)] ?? 0) % 2 ** (8 * size);
  if (at + size > bytes.length) return bytes;
  if (roll(2) === 0) bytes.writeUIntBE(value, at, size);
  else bytes.writeUIntLE(value, at, size);
  return bytes;
}

function cut(bytes: Buffer, roll: Dice): Buffer {
  return bytes.subarray(0, roll(bytes.length + 1));
}

function remove(bytes: Buffer, roll: Dice): Buffer {
  const at = place(bytes, roll);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + roll(32))]);
}

function repeat(bytes: Buffer, roll: Dice): Buffer {
  const at = place(bytes, roll);
  const piece = bytes.subarray(at, at + 1 + roll(64));
  return Buffer.concat([
    bytes.subarray(0, at),
    ...Array.from({ length: 1 + roll(20) }, () => piece),
    bytes.subarray(at),
  ]);
}

function splice(bytes: Buffer, roll: Dice, other: Uint8Array): Buffer {
  if (other.length === 0) return bytes;
  const at = place(bytes, roll);
  const from = roll(other.length);
  return Buffer.concat([
    bytes.subarray(0, at),
    other.subarray(from, from + 1 + roll(256)),
    bytes.subarray(at),
  ]);
}
