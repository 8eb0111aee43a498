/** As a plain binding: inside of a `node:vm` context, where tests run, each look-up of the global costs more than it. */
const { imul } = Math;

/** Numbers in [0, 1) that are the same for the same 32-bit seed on every machine: mulberry32. */
export function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = imul(state ^ (state >>> 15), state | 1);
    t ^= t + imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
