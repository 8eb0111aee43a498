import { ModelError } from '../base/errors.ts';

/** Protobuf's wire types. */
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

const MAX_VARINT_BYTES = 10;
const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function unreadable(why: string, cause?: unknown): ModelError {
  return new ModelError('model_unreadable', `this is no readable ONNX file: ${why}`, { cause });
}

/** One field of a message. `number` holds a varint; `bytes` everything else; `raw` the field with its tag. */
export interface WireField {
  id: number;
  wire: number;
  number: bigint;
  bytes: Uint8Array;
  raw: Uint8Array;
}

/**
 * The fields of a message, in order; bytes are views, not copies.
 * @throws ModelError `model_unreadable` on anything cut off, over-long or of a kind that ONNX does not use.
 */
export function* readFields(message: Uint8Array): Generator<WireField> {
  let at = 0;
  while (at < message.length) {
    const start = at;
    const tag = readVarint(message, at);
    at = tag.next;
    const id = Number(tag.value >> 3n);
    const wire = Number(tag.value & 7n);
    if (id === 0 || id > 0x1fffffff) throw unreadable(`field number ${String(id)} at byte ${String(start)}`);
    let number = 0n;
    let bytes: Uint8Array = message.subarray(at, at);
    if (wire === VARINT) {
      const value = readVarint(message, at);
      number = value.value;
      at = value.next;
    } else {
      let length = wire === FIXED32 ? 4 : 8;
      if (wire === BYTES) {
        const prefix = readVarint(message, at);
        at = prefix.next;
        length = prefix.value > BigInt(message.length) ? Infinity : Number(prefix.value);
      } else if (wire !== FIXED32 && wire !== FIXED64) {
        throw unreadable(`wire type ${String(wire)} at byte ${String(start)}`);
      }
      if (length > message.length - at) throw unreadable(`it ends inside field ${String(id)} (cut off?)`);
      bytes = message.subarray(at, at + length);
      at += length;
    }
    yield { id, wire, number, bytes, raw: message.subarray(start, at) };
  }
}

/** A base-128 number and where the next byte lies. One byte is by far the commonest: no bigint arithmetic for it. */
export function readVarint(bytes: Uint8Array, at: number): { value: bigint; next: number } {
  const first = bytes[at];
  if (first !== undefined && first < 0x80) return { value: BigInt(first), next: at + 1 };
  let value = 0n;
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) throw unreadable('it ends inside a number (cut off?)');
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), next: at + i + 1 };
  }
  throw unreadable(`a number at byte ${String(at)} has more than ten bytes`);
}

export function readText(bytes: Uint8Array): string {
  try {
    return text.decode(bytes);
  } catch (cause) {
    throw unreadable('a name is not UTF-8', cause);
  }
}

/** From this many bytes on, a block is passed on by reference instead of copied into the small buffer. */
const BY_REFERENCE_BYTES = 4096;

/** Collects encoded fields; big blocks are kept by reference until `concat`. */
export class WireWriter {
  length = 0;
  #parts: Uint8Array[] = [];
  #small = new Uint8Array(256);
  #used = 0;

  varint(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    this.#reserve(MAX_VARINT_BYTES);
    while (rest >= 0x80n) {
      this.#small[this.#used++] = Number(rest & 0x7fn) | 0x80;
      this.length++;
      rest >>= 7n;
    }
    this.#small[this.#used++] = Number(rest);
    this.length++;
  }

  tag(id: number, wire: number): void {
    this.varint((BigInt(id) << 3n) | BigInt(wire));
  }

  block(id: number, bytes: Uint8Array): void {
    this.tag(id, BYTES);
    this.varint(BigInt(bytes.length));
    this.raw(bytes);
  }

  nested(id: number, child: WireWriter): void {
    this.tag(id, BYTES);
    this.varint(BigInt(child.length));
    for (const part of child.#all()) this.raw(part);
  }

  raw(bytes: Uint8Array): void {
    if (bytes.length >= BY_REFERENCE_BYTES) {
      this.#flush();
      this.#parts.push(bytes);
    } else {
      this.#reserve(bytes.length);
      this.#small.set(bytes, this.#used);
      this.#used += bytes.length;
    }
    this.length += bytes.length;
  }

  concat(): Uint8Array {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.#all()) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#small.length) return;
    const grown = new Uint8Array(Math.max(this.#small.length * 2, this.#used + bytes));
    grown.set(this.#small.subarray(0, this.#used));
    this.#small = grown;
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#parts.push(this.#small.slice(0, this.#used));
    this.#used = 0;
  }

  #all(): Uint8Array[] {
    return this.#used === 0 ? this.#parts : [...this.#parts, this.#small.subarray(0, this.#used)];
  }
}
