import type { PointKey } from './point-key.ts';

export interface CopyRow {
  id: PointKey;
  vector: Float32Array;
  /** JSON text. */
  payload: string;
}

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
const HEADER_BYTES = SIGNATURE.length + 8;
const TRAILER_BYTES = 2;
const COLUMNS = 4;
const BIGINT_BYTES = 8;
const JSONB_VERSION = 1;

/**
 * Rows (id text, version bigint, vector, payload jsonb) in the binary format of Postgres' COPY: ten times as fast as
 * text parameters, as no number is printed and parsed again.
 * Layout: https://www.postgresql.org/docs/current/sql-copy.html ("Binary Format"); a vector is its length and a zero
 * as int16, then float32s, all big-endian (pgvector's `vector_recv`); a jsonb is a version byte and text.
 */
export function encodeCopy(rows: readonly CopyRow[], version: number): Uint8Array<ArrayBuffer> {
  const payloads = rows.map((row) => Buffer.from(row.payload));
  const bytes = rows.reduce(
    (sum, row, i) =>
      sum +
      2 +
      4 * COLUMNS +
      row.id.length +
      BIGINT_BYTES +
      4 +
      row.vector.length * 4 +
      1 +
      (payloads[i]?.length ?? 0),
    HEADER_BYTES + TRAILER_BYTES,
  );
  const out = Buffer.from(new ArrayBuffer(bytes));
  let at = SIGNATURE.copy(out) + 8;
  rows.forEach((row, i) => {
    const payload = payloads[i] ?? Buffer.alloc(0);
    at = out.writeInt16BE(COLUMNS, at);
    at = out.writeInt32BE(row.id.length, at);
    at += out.write(row.id, at, 'latin1');
    at = out.writeInt32BE(BIGINT_BYTES, at);
    at = out.writeBigInt64BE(BigInt(version), at);
    at = out.writeInt32BE(4 + row.vector.length * 4, at);
    at = out.writeInt16BE(row.vector.length, at);
    at = out.writeInt16BE(0, at);
    for (const value of row.vector) at = out.writeFloatBE(value, at);
    at = out.writeInt32BE(1 + payload.length, at);
    at = out.writeUInt8(JSONB_VERSION, at);
    at += payload.copy(out, at);
  });
  out.writeInt16BE(-1, at);
  return new Uint8Array(out.buffer);
}
