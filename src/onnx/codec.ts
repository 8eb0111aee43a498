import { ModelError } from '../base/errors.ts';
import { fromWire, toWire, type WireAttribute } from './attribute.ts';
import { expectWire, readNumbers, readVarints } from './numbers.ts';
import { ATTRIBUTE, MODEL, type Kind, type Schema } from './schema.ts';
import type { Attribute, OnnxModel } from './types.ts';
import {
  BYTES,
  FIXED32,
  readFields,
  readText,
  unreadable,
  VARINT,
  WireWriter,
  type WireField,
} from './wire.ts';

/** As protobuf's own readers: deeper nesting is an attack, not a model. */
const MAX_DEPTH = 100;
/** Protobuf's limit for one message; larger models keep their weights in files beside. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

type Message = Record<string, unknown>;

/**
 * The model in these bytes. Lossless: `readModel(writeModel(model))` equals `model`. Raw tensor data are views of
 * `bytes`, so those must not change afterwards.
 * @throws ModelError `model_unreadable` on bytes that are no ONNX file or are cut off.
 */
export function readModel(bytes: Uint8Array): OnnxModel {
  const model = readMessage(MODEL, bytes, 0) as Partial<OnnxModel>;
  if (model.graph === undefined) throw unreadable('it holds no graph');
  return model as OnnxModel;
}

/**
 * The model as the bytes of a file.
 * @throws ModelError `model_too_large` above 2 GiB.
 */
export function writeModel(model: OnnxModel): Uint8Array {
  const writer = new WireWriter();
  writeMessage(writer, MODEL, model as unknown as Message);
  if (writer.length > MAX_MODEL_BYTES) {
    throw new ModelError(
      'model_too_large',
      'an ONNX file holds at most 2 GiB: keep the weights in a file beside it (external data)',
    );
  }
  return writer.concat();
}

const specs = new WeakMap<Schema, Map<number, readonly [string, Kind]>>();

function specsOf(schema: Schema): Map<number, readonly [string, Kind]> {
  let map = specs.get(schema);
  if (map === undefined) {
    map = new Map(schema.fields.map(([id, key, kind]) => [id, [key, kind]]));
    specs.set(schema, map);
  }
  return map;
}

function readMessage(schema: Schema, bytes: Uint8Array, depth: number): Message {
  if (depth > MAX_DEPTH) throw unreadable(`it is nested deeper than ${String(MAX_DEPTH)} levels`);
  const known = specsOf(schema);
  const found = new Map<number, WireField[]>();
  const unknown: Uint8Array[] = [];
  for (const field of readFields(bytes)) {
    const list = found.get(field.id);
    if (list !== undefined) list.push(field);
    else if (known.has(field.id)) found.set(field.id, [field]);
    else unknown.push(field.raw);
  }
  const out: Message = { ...schema.defaults };
  for (const [id, key, kind] of schema.fields) {
    const value = readValue(kind, found.get(id) ?? [], depth);
    if (value !== undefined) out[key] = value;
  }
  if (unknown.length > 0) out.unknown = unknown;
  return out;
}

function readValue(kind: Kind, fields: readonly WireField[], depth: number): unknown {
  if (typeof kind === 'object') {
    const messages = fields.map((field) => readNested(kind.message(), field, depth));
    if (kind.list) return messages;
    if (messages.length > 1) throw unreadable(`field ${String(fields[0]?.id)} is there twice`);
    return messages[0];
  }
  if (kind === 'strings') return fields.map((field) => readText(block(field)));
  if (kind === 'bytesList') return fields.map(block);
  if (kind === 'numbers') return readVarints(fields).map(toNumber);
  // The last one counts, as protobuf has it.
  const last = fields.at(-1);
  if (last === undefined) return undefined;
  if (kind === 'string') return readText(block(last));
  if (kind === 'bytes') return block(last);
  if (kind === 'float') {
    expectWire(last, FIXED32);
    return new DataView(last.bytes.buffer, last.bytes.byteOffset).getFloat32(0, true);
  }
  if (kind === 'int64' || kind === 'number') {
    expectWire(last, VARINT);
    return kind === 'int64' ? BigInt.asIntN(64, last.number) : toNumber(last.number);
  }
  const values = readNumbers(kind, fields);
  return values.byteLength === 0 ? undefined : values;
}

function readNested(schema: Schema, field: WireField, depth: number): unknown {
  const message = readMessage(schema, block(field), depth + 1);
  return schema === ATTRIBUTE ? fromWire(message as unknown as WireAttribute) : message;
}

function block(field: WireField): Uint8Array {
  expectWire(field, BYTES);
  return field.bytes;
}

function toNumber(value: bigint): number {
  const signed = Number(BigInt.asIntN(64, value));
  if (!Number.isSafeInteger(signed))
    throw unreadable(`the number ${String(value)} is no possible size or version`);
  return signed;
}

function writeMessage(writer: WireWriter, schema: Schema, message: Message): void {
  for (const [id, key, kind] of schema.fields) {
    const value = message[key];
    if (value !== undefined) writeValue(writer, id, kind, value);
  }
  for (const raw of (message.unknown ?? []) as Uint8Array[]) writer.raw(raw);
}

function writeValue(writer: WireWriter, id: number, kind: Kind, value: unknown): void {
  if (typeof kind === 'object') {
    const schema = kind.message();
    for (const item of kind.list ? (value as unknown[]) : [value]) {
      const child = new WireWriter();
      const message = schema === ATTRIBUTE ? toWire(item as Attribute) : item;
      writeMessage(child, schema, message as Message);
      writer.nested(id, child);
    }
    return;
  }
  switch (kind) {
    case 'string':
      writer.block(id, Buffer.from(value as string));
      return;
    case 'strings':
      for (const item of value as string[]) writer.block(id, Buffer.from(item));
      return;
    case 'bytes':
      writer.block(id, value as Uint8Array);
      return;
    case 'bytesList':
      for (const item of value as Uint8Array[]) writer.block(id, item);
      return;
    case 'float':
      writer.tag(id, FIXED32);
      writer.raw(new Uint8Array(Float32Array.of(value as number).buffer));
      return;
    case 'int64':
    case 'number':
      writer.tag(id, VARINT);
      writer.varint(BigInt(value as number | bigint));
      return;
    case 'floats':
    case 'doubles': {
      const view = value as Float32Array | Float64Array;
      if (view.length > 0) writer.block(id, new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
      return;
    }
    default:
      writePacked(writer, id, value as Iterable<number | bigint> & { length: number });
  }
}

function writePacked(
  writer: WireWriter,
  id: number,
  values: Iterable<number | bigint> & { length: number },
): void {
  if (values.length === 0) return;
  const child = new WireWriter();
  for (const value of values) child.varint(BigInt(value));
  writer.nested(id, child);
}
