/** Mean red, green and blue (0..255) of pixels laid out as rows of RGB: the control that a descriptor has to beat. */
export function meanColour(pixels: Uint8Array): readonly [number, number, number] {
  let [red, green, blue] = [0, 0, 0];
  for (let i = 0; i + 2 < pixels.length; i += 3) {
    red += pixels[i] ?? 0;
    green += pixels[i + 1] ?? 0;
    blue += pixels[i + 2] ?? 0;
  }
  const count = Math.max(1, Math.floor(pixels.length / 3));
  return [red / count, green / count, blue / count];
}

/** Index of the candidate whose mean colour is nearest (Euclidean); -1 where there is none. */
export function nearestColour(
  wanted: readonly [number, number, number],
  candidates: readonly (readonly [number, number, number])[],
): number {
  let best = -1;
  let least = Infinity;
  candidates.forEach((candidate, i) => {
    const d =
      (candidate[0] - wanted[0]) ** 2 + (candidate[1] - wanted[1]) ** 2 + (candidate[2] - wanted[2]) ** 2;
    if (d < least) [best, least] = [i, d];
  });
  return best;
}
