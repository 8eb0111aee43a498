import { setImmediate as pause } from 'node:timers/promises';

/** Pixels converted before the thread is left to others: some 6 ms. */
const PIXELS_A_TURN = 1_000_000;

/**
 * CMYK as PIL converts it, profile or not: what each ink leaves of what black leaves. Works within the given memory, so
 * that a large picture is not held twice; resolves with the part of it that holds the RGB bytes.
 */
export async function cmykToRgb(inks: Uint8Array, channels: number): Promise<Uint8Array> {
  const pixels = Math.floor(inks.length / channels);
  for (let from = 0; from < pixels; from += PIXELS_A_TURN) {
    if (from > 0) await pause();
    convert(inks, channels, { from, to: Math.min(pixels, from + PIXELS_A_TURN) });
  }
  return inks.subarray(0, pixels * 3);
}

/** Three bytes are written where at least four were read: never over what is still to be read. */
function convert(inks: Uint8Array, channels: number, { from, to }: { from: number; to: number }): void {
  for (let i = from; i < to; i += 1) {
    const light = 255 - (inks[i * channels + 3] ?? 0);
    for (let c = 0; c < 3; c += 1) {
      const product = (inks[i * channels + c] ?? 0) * light + 128;
      inks[i * 3 + c] = light - ((product + (product >> 8)) >> 8);
    }
  }
}

export function repeatGrey(grey: Uint8Array): Uint8Array {
  const out = new Uint8Array(grey.length * 3);
  for (let i = 0; i < grey.length; i += 1) out.fill(grey[i] ?? 0, i * 3, i * 3 + 3);
  return out;
}
