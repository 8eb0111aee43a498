import { FIXED32, FIXED64, readVarint, unreadable, VARINT, BYTES, type WireField } from './wire.ts';

export type NumberList = 'floats' | 'doubles' | 'int32s' | 'int64s' | 'uint64s';

/** A repeated number's field, packed or not, as values; packed floats cost one copy, never a value at a time. */
export function readNumbers(kind: NumberList, fields: readonly WireField[]): ArrayBufferView {
  if (kind === 'floats') return readFixed(Float32Array, FIXED32, fields);
  if (kind === 'doubles') return readFixed(Float64Array, FIXED64, fields);
  const values = readVarints(fields);
  if (kind === 'int64s') return BigInt64Array.from(values, (v) => BigInt.asIntN(64, v));
  if (kind === 'uint64s') return BigUint64Array.from(values);
  return Int32Array.from(values, (v) => Number(BigInt.asIntN(32, v)));
}

/** The elements of packed or single varint fields, as unsigned 64-bit numbers. */
export function readVarints(fields: readonly WireField[]): bigint[] {
  const out: bigint[] = [];
  for (const field of fields) {
    if (field.wire === VARINT) {
      out.push(field.number);
      continue;
    }
    expectWire(field, BYTES);
    for (let at = 0; at < field.bytes.length;) {
      const { value, next } = readVarint(field.bytes, at);
      out.push(value);
      at = next;
    }
  }
  return out;
}

export function expectWire(field: WireField, wire: number): void {
  if (field.wire !== wire) {
    throw unreadable(
      `field ${String(field.id)} has wire type ${String(field.wire)} instead of ${String(wire)}`,
    );
  }
}

function readFixed<A extends Float32Array | Float64Array>(
  type: { new (buffer: ArrayBuffer): A; readonly BYTES_PER_ELEMENT: number },
  wire: number,
  fields: readonly WireField[],
): A {
  let length = 0;
  for (const field of fields) {
    if (field.wire !== wire) expectWire(field, BYTES);
    if (field.bytes.length % type.BYTES_PER_ELEMENT !== 0)
      throw unreadable('a list of floats ends inside a value');
    length += field.bytes.length;
  }
  // A copy: the file's bytes need not lie where a typed array may begin.
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const field of fields) {
    bytes.set(field.bytes, at);
    at += field.bytes.length;
  }
  return new type(bytes.buffer);
}
