/** Where a JPEG's segments are: marker, first byte (0xff) and the first byte behind, up to the first scan. */
function jpegSegments(bytes: Uint8Array): { marker: number; from: number; to: number }[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = [];
  for (let at = 2; at + 4 <= view.length && view[at] === 0xff;) {
    const marker = view.readUInt8(at + 1);
    const to = at + 2 + view.readUInt16BE(at + 2);
    segments.push({ marker, from: at, to });
    if (marker === 0xda) break;
    at = to;
  }
  return segments;
}

export function jpegSegment(marker: number, data: Uint8Array | string): Buffer {
  const body = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data);
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(body.length + 2, 2);
  return Buffer.concat([head, body]);
}

/** The JPEG with these segments right behind its start. */
export function withSegments(bytes: Uint8Array, segments: readonly Uint8Array[]): Buffer {
  return Buffer.concat([bytes.subarray(0, 2), ...segments, bytes.subarray(2)]);
}

export function withoutSegments(bytes: Uint8Array, marker: number): Buffer {
  let out = Buffer.from(bytes);
  for (const segment of jpegSegments(bytes).reverse())
    if (segment.marker === marker)
      out = Buffer.concat([out.subarray(0, segment.from), out.subarray(segment.to)]);
  return out;
}

/** The JPEG with another size in its frame header. */
export function withJpegSize(bytes: Uint8Array, width: number, height: number): Buffer {
  const out = Buffer.from(bytes);
  const frame = jpegSegments(bytes).find(({ marker }) => marker >= 0xc0 && marker <= 0xc2);
  if (frame === undefined) throw new TypeError('the JPEG has no frame header');
  out.writeUInt16BE(height, frame.from + 5);
  out.writeUInt16BE(width, frame.from + 7);
  return out;
}

/** An EXIF segment with an orientation, and with a thumbnail where one is given. */
export function exifSegment(orientation: number, thumbnail: Uint8Array = new Uint8Array()): Buffer {
  const hasThumbnail = thumbnail.length > 0;
  const tiff = Buffer.alloc(8 + 18 + (hasThumbnail ? 30 : 0));
  tiff.write('II*\0\x08\0\0\0', 0, 'latin1');
  tiff.writeUInt16LE(1, 8);
  writeField(tiff, 10, [0x0112, 3, orientation]);
  if (hasThumbnail) {
    tiff.writeUInt32LE(26, 22);
    tiff.writeUInt16LE(2, 26);
    writeField(tiff, 28, [0x0201, 4, tiff.length]);
    writeField(tiff, 40, [0x0202, 4, thumbnail.length]);
  }
  return jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiff, thumbnail]));
}

function writeField(tiff: Buffer, at: number, [tag, type, value]: readonly [number, number, number]): void {
  tiff.writeUInt16LE(tag, at);
  tiff.writeUInt16LE(type, at + 2);
  tiff.writeUInt32LE(1, at + 4);
  tiff.writeUInt32LE(value, at + 8);
}

/** Scans of a progressive JPEG repeated so often: each costs the decoder a pass over the whole picture. */
export function withRepeatedScan(bytes: Uint8Array, times: number): Buffer {
  const scan = jpegSegments(bytes).at(-1);
  if (scan?.marker !== 0xda) throw new TypeError('the JPEG has no scan');
  const data = Buffer.from(bytes);
  let end = scan.to;
  while (end + 1 < data.length && !(data[end] === 0xff && (data[end + 1] ?? 0) !== 0)) end += 1;
  const one = data.subarray(scan.from, end);
  return Buffer.concat([
    data.subarray(0, scan.from),
    ...Array.from({ length: times }, () => one),
    data.subarray(end),
  ]);
}

/**
 * A progressive JPEG with so many more scans, each of which says of all blocks, in a few bytes, that nothing is in them.
 * None contradicts another: there are 63 coefficients of three components to say it of.
 */
export function withEmptyScans(bytes: Uint8Array, times: number): Buffer {
  // One code of one bit, for a run of 2^14 blocks and more; its 14 further bits are zero as well.
  const table = jpegSegment(0xc4, Buffer.from([0x10, 1, ...Array<number>(15).fill(0), 0xe0]));
  const runs = Buffer.alloc(512);
  const scan = (i: number): Buffer => {
    const coefficient = 1 + (i % 63);
    const component = 1 + (Math.floor(i / 63) % 3);
    return Buffer.concat([
      jpegSegment(0xda, Buffer.from([1, component, 0, coefficient, coefficient, 0])),
      runs,
    ]);
  };
  const frame = jpegSegments(bytes).find(({ marker }) => marker === 0xda);
  const scans = Array.from({ length: times }, (_, i) => scan(i));
  return Buffer.concat([bytes.subarray(0, frame?.from), table, ...scans, Buffer.from([0xff, 0xd9])]);
}
