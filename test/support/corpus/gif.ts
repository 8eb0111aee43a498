export interface GifFrame {
  left?: number;
  top?: number;
  width: number;
  height: number;
  /** LZW data in its sub-blocks, minimum code size first; default: one pixel of colour 1. */
  data?: Uint8Array;
}

/** Minimum code size 2; clear, colour 1, end. */
const ONE_PIXEL = Buffer.from([2, 2, 0x4c, 0x01, 0]);

/** A GIF with a palette of black and one colour: a canvas of this size, and its frames. */
export function gif(
  canvas: { width: number; height: number; colour?: readonly [number, number, number] },
  frames: readonly GifFrame[],
  trailer = true,
): Buffer {
  const head = Buffer.alloc(13);
  head.write('GIF89a', 0, 'latin1');
  head.writeUInt16LE(canvas.width, 6);
  head.writeUInt16LE(canvas.height, 8);
  head.set([0xf1, 0, 0], 10);
  const [r, g, b] = canvas.colour ?? [200, 50, 20];
  const palette = Buffer.from([0, 0, 0, r, g, b, 0, 0, 0, 0, 0, 0]);
  const parts = frames.map(({ left = 0, top = 0, width, height, data = ONE_PIXEL }) => {
    const descriptor = Buffer.alloc(10);
    descriptor.writeUInt8(0x2c, 0);
    for (const [i, value] of [left, top, width, height].entries()) descriptor.writeUInt16LE(value, 1 + i * 2);
    return Buffer.concat([descriptor, data]);
  });
  return Buffer.concat([head, palette, ...parts, Buffer.from(trailer ? [0x3b] : [])]);
}
