/** A WebP's chunk, padded to an even length. */
export function webpChunk(type: string, data: Uint8Array, length = data.length): Buffer {
  const head = Buffer.alloc(8);
  head.write(type, 0, 'latin1');
  head.writeUInt32LE(length, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length % 2)]);
}

export function webp(chunks: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat([Buffer.from('WEBP', 'latin1'), ...chunks]);
  return webpChunk('RIFF', body);
}

const FLAGS = { animation: 0x02, alpha: 0x10 } as const;

/** VP8X: the canvas, up to 2^24 a side. */
export function webpCanvas(
  width: number,
  height: number,
  flags: readonly (keyof typeof FLAGS)[] = [],
): Buffer {
  const data = Buffer.alloc(10);
  data.writeUInt8(
    flags.reduce((sum, flag) => sum | FLAGS[flag], 0),
    0,
  );
  data.writeUIntLE(width - 1, 4, 3);
  data.writeUIntLE(height - 1, 7, 3);
  return webpChunk('VP8X', data);
}

/** The picture's own chunk (VP8 or VP8L) of a plain WebP. */
export function webpPicture(bytes: Uint8Array): Buffer {
  const view = Buffer.from(bytes);
  for (let at = 12; at + 8 <= view.length;) {
    const length = view.readUInt32LE(at + 4);
    if (/^VP8[ L]$/.test(view.toString('latin1', at, at + 4)))
      return view.subarray(at, at + 8 + length + (length % 2));
    at += 8 + length + (length % 2);
  }
  throw new TypeError('the WebP has no picture');
}

export const webpAnimation = (): Buffer => webpChunk('ANIM', Buffer.alloc(6));

/** ANMF: a frame of the animation at an even position. */
export function webpFrame(
  picture: Uint8Array,
  size: { width: number; height: number; x?: number; y?: number },
): Buffer {
  const head = Buffer.alloc(16);
  head.writeUIntLE((size.x ?? 0) / 2, 0, 3);
  head.writeUIntLE((size.y ?? 0) / 2, 3, 3);
  head.writeUIntLE(size.width - 1, 6, 3);
  head.writeUIntLE(size.height - 1, 9, 3);
  head.writeUIntLE(100, 12, 3);
  return webpChunk('ANMF', Buffer.concat([head, picture]));
}

/** A lossless picture's header with nothing behind: up to 16,384 a side. */
export function webpLosslessHeader(width: number, height: number): Buffer {
  const bits = Buffer.alloc(24);
  bits.writeUInt8(0x2f, 0);
  bits.writeUInt32LE(((height - 1) * 2 ** 14 + (width - 1)) >>> 0, 1);
  return webpChunk('VP8L', bits);
}
