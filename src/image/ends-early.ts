import type { ImageType } from './sniff.ts';

/**
 * True where the file's own structure says that bytes are missing at its end. Tells apart, once decoding has failed,
 * what was cut off (a second download may help whoever stored it) from what is broken inside.
 */
export function endsEarly(bytes: Uint8Array, type: ImageType): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case 'png':
      return pngEndsEarly(view);
    case 'webp':
      return view.byteLength < 12 || view.getUint32(4, true) + 8 > view.byteLength;
    case 'tiff':
      return tiffEndsEarly(view);
    default:
      return false;
  }
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
