/** TIFF field types by name: code and bytes of one value. */
const TYPES = { short: [3, 2], long: [4, 4], undefined: [7, 1] } as const;

export interface TiffField {
  tag: number;
  type: keyof typeof TYPES;
  /** Values; or only how many there are said to be, and where. */
  values: readonly number[] | { count: number; offset: number };
}

export const TIFF = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  stripOffsets: 273,
  bands: 277,
  rowsPerStrip: 278,
  stripBytes: 279,
  planar: 284,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileBytes: 325,
  subDirectories: 330,
} as const;

/** A little-endian TIFF: for each page its fields; `next`: where the last page says that one more follows. */
export function tiff(
  pages: readonly (readonly TiffField[])[],
  options: { data?: Uint8Array; next?: number } = {},
): Buffer {
  const { data = new Uint8Array(), next = 0 } = options;
  const parts: Buffer[] = [Buffer.from('II*\0\0\0\0\0', 'latin1'), Buffer.from(data)];
  let at = 8 + data.length;
  let link: Buffer | undefined = parts[0];
  let linkAt = 4;
  for (const fields of pages) {
    if (at % 2 === 1) at += parts.push(Buffer.alloc(1)) > 0 ? 1 : 0;
    link?.writeUInt32LE(at, linkAt);
    const directory = Buffer.alloc(2 + fields.length * 12 + 4);
    directory.writeUInt16LE(fields.length, 0);
    const outside: Buffer[] = [];
    let outsideAt = at + directory.length;
    for (const [i, field] of [...fields].sort((a, b) => a.tag - b.tag).entries()) {
      const entry = 2 + i * 12;
      const [code, size] = TYPES[field.type];
      directory.writeUInt16LE(field.tag, entry);
      directory.writeUInt16LE(code, entry + 2);
      if (!isList(field.values)) {
        directory.writeUInt32LE(field.values.count, entry + 4);
        directory.writeUInt32LE(field.values.offset, entry + 8);
        continue;
      }
      directory.writeUInt32LE(field.values.length, entry + 4);
      const packed = Buffer.alloc(Math.max(4, field.values.length * size));
      for (const [k, value] of field.values.entries()) packed.writeUIntLE(value, k * size, size);
      if (packed.length === 4) packed.copy(directory, entry + 8);
      else {
        directory.writeUInt32LE(outsideAt, entry + 8);
        outsideAt += packed.length;
        outside.push(packed);
      }
    }
    parts.push(directory, ...outside);
    link = directory;
    linkAt = directory.length - 4;
    at = outsideAt;
  }
  link?.writeUInt32LE(next, linkAt);
  return Buffer.concat(parts);
}

function isList(values: TiffField['values']): values is readonly number[] {
  return Array.isArray(values);
}

/** The fields of an uncompressed RGB page of one strip that begins behind the header. */
export function rgbPage(width: number, height: number, more: readonly TiffField[] = []): TiffField[] {
  const replaced = new Set(more.map(({ tag }) => tag));
  const fields: TiffField[] = [
    { tag: TIFF.width, type: 'long', values: [width] },
    { tag: TIFF.height, type: 'long', values: [height] },
    { tag: TIFF.bits, type: 'short', values: [8, 8, 8] },
    { tag: TIFF.compression, type: 'short', values: [1] },
    { tag: TIFF.photometric, type: 'short', values: [2] },
    { tag: TIFF.stripOffsets, type: 'long', values: [8] },
    { tag: TIFF.bands, type: 'short', values: [3] },
    { tag: TIFF.rowsPerStrip, type: 'long', values: [height] },
    { tag: TIFF.stripBytes, type: 'long', values: [Math.min(0xffffffff, width * height * 3)] },
    { tag: TIFF.planar, type: 'short', values: [1] },
  ];
  return [...fields.filter(({ tag }) => !replaced.has(tag)), ...more];
}

/** The same, in tiles of this size. */
export function tiledPage(size: number, tile: number): TiffField[] {
  const tiles = Math.ceil(size / tile) ** 2;
  return rgbPage(size, size)
    .filter(({ tag }) => ![TIFF.stripOffsets, TIFF.rowsPerStrip, TIFF.stripBytes].some((t) => t === tag))
    .concat([
      { tag: TIFF.tileWidth, type: 'long', values: [tile] },
      { tag: TIFF.tileHeight, type: 'long', values: [tile] },
      { tag: TIFF.tileOffsets, type: 'long', values: { count: tiles, offset: 8 } },
      { tag: TIFF.tileBytes, type: 'long', values: { count: tiles, offset: 8 } },
    ]);
}
