import type { ImageType } from './sniff.ts';

/**
 * True where the file's own structure says that bytes are missing at its end. Tells apart, once decoding has failed,
 * what was cut off (a second download may help whoever stored it) from what is broken inside. The decoder's words would
 * not do: it keeps them in one place for all pictures that are decoded at the time.
 */
export function endsEarly(bytes: Uint8Array, type: ImageType): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case 'jpeg':
      return jpegEndsEarly(view);
    case 'png':
      return pngEndsEarly(view);
    case 'gif':
      return bytes.at(-1) !== GIF_TRAILER;
    case 'webp':
      return view.byteLength < 12 || view.getUint32(4, true) + 8 > view.byteLength;
    case 'avif':
      return boxesEndEarly(view);
    case 'tiff':
      return tiffEndsEarly(view);
  }
}

const GIF_TRAILER = 0x3b;

/** A JPEG is a row of segments with lengths, and behind a start of scan coded bytes up to the next marker. */
function jpegEndsEarly(view: DataView): boolean {
  const [START_OF_SCAN, END_OF_IMAGE, FIRST_RESTART] = [0xda, 0xd9, 0xd0];
  const last = view.byteLength - 1;
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  let inScan = false;
  for (let at = 2; at < last;) {
    const marker = view.getUint8(at) === 0xff ? view.getUint8(at + 1) : 0;
    const isSegment =
      marker !== 0 && marker !== 0xff && !(marker >= FIRST_RESTART && marker < FIRST_RESTART + 8);
    if (marker === END_OF_IMAGE) return false;
    if (!isSegment) {
      // Outside of a scan there is nothing but segments and fill bytes: what else stands here is broken, not missing.
      if (!inScan && marker !== 0xff) return false;
      at = nextMarker(bytes, at + 1);
    } else {
      inScan = marker === START_OF_SCAN;
      if (at + 3 > last) return true;
      at += 2 + view.getUint16(at + 2);
    }
  }
  return true;
}

/** Where the next byte behind 0xff is that may make a marker of it: a scan has millions of bytes, so no call for each. */
function nextMarker(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length) {
    if (bytes[at] !== 0xff) at += 1;
    else if (bytes[at + 1] === 0xff) at += 1;
    else if (bytes[at + 1] === 0) at += 2;
    else return at;
  }
  return at;
}

/** A PNG is a row of chunks (length, type, data, checksum), the last one IEND. */
function pngEndsEarly(view: DataView): boolean {
  const IEND = 0x49454e44;
  let at = 8;
  while (at + 12 <= view.byteLength) {
    if (view.getUint32(at + 4) === IEND) return false;
    at += 12 + view.getUint32(at);
  }
  return true;
}

/** The header points to the first directory, which often lies behind the pixels. */
function tiffEndsEarly(view: DataView): boolean {
  if (view.byteLength < 8) return true;
  return view.getUint32(4, view.getUint8(0) === 0x49) + 2 > view.byteLength;
}

/** AVIF is a row of boxes, each beginning with its size; 0 means up to the end, 1 that a longer size follows. */
function boxesEndEarly(view: DataView): boolean {
  for (let at = 0; at < view.byteLength;) {
    if (at + 8 > view.byteLength) return true;
    const size = view.getUint32(at);
    if (size === 0) return false;
    if (size === 1 && at + 16 > view.byteLength) return true;
    const length = size === 1 ? Number(view.getBigUint64(at + 8)) : size;
    if (length < 8) return false;
    at += length;
    if (at > view.byteLength) return true;
  }
  return false;
}
