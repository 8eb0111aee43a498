import { gzipSync } from 'node:zlib';

import { corpusOf, type CorpusFile } from './expected.ts';
import { plain } from './pictures.ts';

const OUTSIDE =
  '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">' +
  '<image width="64" height="64" xlink:href="file:///etc/hostname"/><image xlink:href="http://127.0.0.1/x.png"/></svg>';
const ENTITIES =
  '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY x SYSTEM "file:///etc/hostname">]>' +
  '<svg xmlns="http://www.w3.org/2000/svg"><text>&b;&x;</text></svg>';

/** What must never reach a decoder. */
export async function otherFiles(): Promise<CorpusFile[]> {
  const png = await plain(8, 8).png().toBuffer();
  const text = (value: string): Buffer => Buffer.from(value);
  const svg = 'unsupported_type';
  const none = 'not_an_image';
  return corpusOf('other', {
    nothing: [Buffer.alloc(0), 'empty'],
    'one byte': [text('x'), none],
    'a page': [
      text('<!DOCTYPE html><html><head><title>404</title></head><body><img src="x.png"></body></html>'),
      none,
    ],
    'a page with a picture inside': [Buffer.concat([text('<html>'), png]), none],
    'a picture behind a blank': [Buffer.concat([text(' '), png]), none],
    'a picture, packed': [gzipSync(png), none],
    'a picture as base64': [text(png.toString('base64')), none],
    'a megabyte of zeros': [Buffer.alloc(1024 * 1024), none],
    'SVG with references to the outside': [text(OUTSIDE), svg],
    'SVG with entities': [text(ENTITIES), none],
    'SVG behind a byte order mark': [text(`\ufeff${OUTSIDE}`), svg],
    'SVG behind blanks': [text(`${' \t\r\n'.repeat(200)}${OUTSIDE}`), svg],
    'SVG behind comments': [text(`<!-- a --><!-- <b> -->\n<!---->${OUTSIDE}`), svg],
    'SVG behind instructions': [
      text(`<?xml version="1.0"?><?xml-stylesheet href="http://127.0.0.1/x.css"?>${OUTSIDE}`),
      svg,
    ],
    'SVG in UTF-16': [Buffer.from(`\ufeff${OUTSIDE}`, 'utf16le'), svg],
    'SVG behind more than is looked at': [
      text(`<!--${'x'.repeat(900)}-->${' '.repeat(300)}${OUTSIDE}`),
      none,
    ],
    'SVG, packed': [gzipSync(OUTSIDE), none],
    // libvips looks for `<svg` in what is text, and unpacks what is packed; both of these once passed as AVIF.
    'SVG whose comment spells an AVIF': [text(`<!--ftypavif-->${OUTSIDE}`), svg],
    'SVG, packed, whose time stamp spells an AVIF': [packedAsAvif(), none],
    'a row of comments that never ends': [text('<!---->'.repeat(146)), none],
    'half comments without end': [text('<!--'.repeat(256)), none],
    'declarations without end': [text('<?xml'.repeat(200)), none],
    HEIC: [Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'), svg],
    'an AVIF of a brand alone': [
      Buffer.from('\0\0\0\x18ftypavif\0\0\0\0mif1avif', 'latin1'),
      'corrupt|truncated',
    ],
    BMP: [Buffer.from('BM\x36\0\0\0\0\0\0\0\x36\0\0\0', 'latin1'), svg],
    'a zip': [Buffer.from('PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaa', 'latin1'), none],
  });
}

/** Byte 3: a name follows; bytes 4 to 9 are a time, a level and a system that nobody checks. */
function packedAsAvif(): Buffer {
  const packed = gzipSync(OUTSIDE);
  return Buffer.concat([Buffer.from('\x1f\x8b\x08\x08ftypavif\0', 'latin1'), packed.subarray(10)]);
}
