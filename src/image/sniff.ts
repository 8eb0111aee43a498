import { ImageError } from '../base/errors.ts';

export type ImageType = 'jpeg' | 'png' | 'gif' | 'webp' | 'tiff' | 'avif';

/** How much of a file that is no image is looked at to say what it is. */
const TEXT_BYTES = 1_024;

/** Picture formats that are known and refused, by their first bytes. */
/* eslint-disable no-control-regex -- file signatures are made of them */
const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['BMP', /^BM[^]{4}\0\0\0\0/],
  ['ICO', /^\0\0[\x01\x02]\0/],
  ['PSD', /^8BPS/],
  ['PDF', /^%PDF-/],
  ['JPEG 2000', /^(?:\0\0\0\x0cjP {2}\r\n|\xff\x4f\xff\x51)/],
  ['JPEG XL', /^(?:\xff\x0a|\0\0\0\x0cJXL )/],
  ['PNM', /^P[1-7][\s#]/],
  ['OpenEXR', /^\x76\x2f\x31\x01/],
  ['Radiance', /^#\?RADIANCE/],
  ['FITS', /^SIMPLE {2}=/],
];
/* eslint-enable no-control-regex */

/**
 * What the bytes are, by their beginning and never by a name or a header. Only what is listed here ever reaches the
 * decoder: no SVG (which may refer to other files), no PDF, no camera formats.
 * @throws ImageError `empty`, `unsupported_type`, `not_an_image`
 */
export function sniffImageType(bytes: Uint8Array): ImageType {
  if (bytes.byteLength === 0) throw new ImageError('empty', 'the file is empty');
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, TEXT_BYTES)).toString(
    'latin1',
  );
  if (head.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (/^GIF8[79]a/.test(head)) return 'gif';
  if (/^RIFF[^]{4}WEBP/.test(head)) return 'webp';
  if (/^(?:II[*+]\0|MM\0[*+])/.test(head)) return 'tiff';
  if (head.startsWith('ftyp', 4)) return ofBrand(head);
  for (const [name, pattern] of REFUSED) if (pattern.test(head)) throw unsupported(name);
  const text = head
    .replace(/^\xef\xbb\xbf/, '')
    .replaceAll('\0', '')
    .trimStart();
  if (/^(?:<\?xml[^]*?)?(?:\s|<!--[^]*?-->|<!DOCTYPE svg[^]*?>)*<(?:\w+:)?svg[\s>]/i.test(text))
    throw unsupported('SVG');
  throw new ImageError('not_an_image', `the file is not an image${guess(text)}`);
}

/** ISO media files: AVIF is read; HEIC, video and the like are not. */
function ofBrand(head: string): ImageType {
  const brands = head.slice(8, 8 + Math.max(0, Math.min(64, boxLength(head)) - 8));
  if (/avi[fs]/.test(brands)) return 'avif';
  throw unsupported(/hei[cxms]|mif1/.test(brands) ? 'HEIC' : 'ISO media');
}

function boxLength(head: string): number {
  return (head.charCodeAt(2) << 8) + head.charCodeAt(3);
}

function unsupported(name: string): ImageError {
  return new ImageError('unsupported_type', `the file is of a type that is not read: ${name}`);
}

function guess(text: string): string {
  if (/^<(?:!doctype html|html|head|body|\?xml|!--)/i.test(text)) return ': it looks like HTML or XML';
  return /^[[{]/.test(text) ? ': it looks like JSON' : '';
}
