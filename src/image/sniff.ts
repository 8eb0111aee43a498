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
  // The zeros matter: without them `<!--ftypavif--><svg` and packed SVGs would be let through to be read as what they are.
  if (head.startsWith('\0\0') && head.startsWith('ftyp', 4)) return ofBrand(head);
  for (const [name, pattern] of REFUSED) if (pattern.test(head)) throw unsupported(name);
  const text = head
    .replace(/^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)/, '')
    .replaceAll('\0', '')
    .trimStart();
  if (/^(?:\w+:)?svg$/i.test(rootElement(text))) throw unsupported('SVG');
  throw new ImageError('not_an_image', `the file is not an image${guess(text)}`);
}

/** What may stand before the root element of XML or HTML: how it begins and how it ends. */
const PROLOGUE = [
  ['<?', '?>'],
  ['<!--', '-->'],
  ['<!', '>'],
] as const;

/** The name of the first element; empty where there is none. Reads on only: no text makes it slow. */
function rootElement(text: string): string {
  let rest = text;
  for (;;) {
    rest = rest.trimStart();
    const skipped = PROLOGUE.find(([start]) => rest.startsWith(start));
    if (skipped === undefined) return /^<([\w:]+)/.exec(rest)?.[1] ?? '';
    const end = rest.indexOf(skipped[1]);
    if (end === -1) return '';
    rest = rest.slice(end + skipped[1].length);
  }
}

/** ISO media files: AVIF is read; HEIC, video and the like are not. */
function ofBrand(head: string): ImageType {
  const brands = head.slice(8, Math.max(8, Math.min(64, boxLength(head))));
  if (/avi[fs]/.test(brands)) return 'avif';
  throw unsupported(/hei[cxms]|mif1/.test(brands) ? 'HEIC' : 'ISO media');
}

/** Of a box below 64 KiB. */
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
