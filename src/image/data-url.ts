import { ImageError } from '../base/errors.ts';

/** Characters before the comma: a type and some parameters. */
const MAX_HEADER_CHARS = 1_024;

/**
 * The bytes of a `data:` url, base64 or percent-encoded. Its length is checked before anything is decoded.
 * @throws ImageError `invalid_url`, `too_large`
 */
export function readDataUrl(url: string, maxBytes: number): Uint8Array {
  const start = url.search(/\S/);
  const comma = url.indexOf(',');
  if (comma === -1 || comma - start > MAX_HEADER_CHARS) throw invalid('it has no comma behind its type');
  const isBase64 = /;\s*base64\s*$/i.test(url.slice(start, comma));
  return isBase64 ? fromBase64(url, comma + 1, maxBytes) : fromPercent(url, comma + 1, maxBytes);
}

function fromBase64(url: string, from: number, maxBytes: number): Uint8Array {
  // Four characters for three bytes; percent-encoding (%3D for =) and line breaks only add to it.
  if (((url.length - from) / 4) * 3 > maxBytes + 64 && !/[%\s]/.test(url)) throw tooLarge(maxBytes);
  if (url.length - from > maxBytes * 4 + 256) throw tooLarge(maxBytes);
  const text = percentDecoded(url.slice(from)).toString('latin1').replace(/\s+/g, '');
  if (!/^[A-Za-z\d+/_-]*={0,2}$/.test(text) || text.replace(/=+$/, '').length % 4 === 1)
    throw invalid('it is not base64');
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
  if (bytes.byteLength > maxBytes) throw tooLarge(maxBytes);
  return bytes;
}

function fromPercent(url: string, from: number, maxBytes: number): Uint8Array {
  // Each byte takes one to three characters.
  if ((url.length - from) / 3 > maxBytes) throw tooLarge(maxBytes);
  const bytes = Uint8Array.from(percentDecoded(url.slice(from).trimEnd()));
  if (bytes.byteLength > maxBytes) throw tooLarge(maxBytes);
  return bytes;
}

/** Percent-encoded bytes; other characters must be plain ASCII. A fragment is no part of the data. */
function percentDecoded(text: string): Buffer {
  const data = text.split('#', 1)[0] ?? '';
  if (/%(?![\da-f]{2})/i.test(data)) throw invalid('it has a broken percent sign');
  // eslint-disable-next-line no-control-regex -- the range is what ASCII is
  if (/[^\x00-\x7f]/.test(data)) throw invalid('it holds characters that are not ASCII');
  if (!data.includes('%')) return Buffer.from(data, 'latin1');
  return Buffer.from(
    data.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  );
}

function invalid(why: string): ImageError {
  return new ImageError('invalid_url', `the data: url cannot be read: ${why}`);
}

function tooLarge(maxBytes: number): ImageError {
  return new ImageError('too_large', `the data: url holds more than the ${String(maxBytes)} bytes allowed`);
}
