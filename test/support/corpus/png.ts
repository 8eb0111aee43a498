import { crc32, deflateSync } from 'node:zlib';

export interface PngParts {
  width: number;
  height: number;
  depth?: 1 | 2 | 4 | 8 | 16;
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. */
  colour?: 0 | 2 | 3 | 4 | 6;
  interlaced?: boolean;
  /** Chunks between the header and the pixels. */
  before?: readonly Uint8Array[];
  /** Rows, each with its filter byte, not yet deflated; default: zeros for the whole picture. */
  rows?: Uint8Array;
  /** What stands where the picture's chunks would. */
  body?: readonly Uint8Array[];
}

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const BANDS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;

/** A PNG put together chunk by chunk, whatever its numbers say. */
export function png(parts: PngParts): Buffer {
  const { width, height, depth = 8, colour = 2, interlaced = false, before = [] } = parts;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlaced ? 1 : 0], 8);
  const rowLength = 1 + Math.ceil((width * BANDS[colour] * depth) / 8);
  const body = parts.body ?? [
    pngChunk('IDAT', deflateSync(parts.rows ?? Buffer.alloc(rowLength * height))),
    pngChunk('IEND'),
  ];
  return Buffer.concat([SIGNATURE, pngChunk('IHDR', header), ...before, ...body]);
}

/** `length`: what the chunk says of itself, where that is not so. */
export function pngChunk(type: string, data: Uint8Array = new Uint8Array(), length = data.length): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(length, 0);
  chunk.write(type, 4, 'latin1');
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

/** Rows without a filter, all of one pixel. */
export function pngRows(width: number, height: number, pixel: readonly number[]): Buffer {
  const row = Buffer.from([0, ...Array.from({ length: width }, () => pixel).flat()]);
  return Buffer.concat(Array.from({ length: height }, () => row));
}

/** A zTXt, iCCP or iTXt chunk whose text inflates to so many bytes. */
export function pngTextBomb(type: 'zTXt' | 'iCCP' | 'iTXt', inflated: number): Buffer {
  const head = type === 'iTXt' ? 'bomb\0\x01\0\0\0' : 'bomb\0\0';
  return pngChunk(type, Buffer.concat([Buffer.from(head, 'latin1'), deflateSync(Buffer.alloc(inflated))]));
}

/** Where it is a PNG, the same with checksums that are right for whatever the chunks hold. */
export function withChecksums(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, 8).equals(SIGNATURE)) return bytes;
  const out = Buffer.from(bytes);
  for (let at = 8; at + 12 <= out.length;) {
    const end = at + 8 + out.readUInt32BE(at);
    if (end + 4 > out.length) break;
    out.writeUInt32BE(crc32(out.subarray(at + 4, end)), end);
    at = end + 4;
  }
  return out;
}
