import type { Random } from './random.ts';

/** Red, green, blue in 0..255. */
export type Colour = readonly [number, number, number];

/** Hue in turns (any real number), saturation and lightness in 0..1. */
export function hsl(hue: number, saturation: number, lightness: number): Colour {
  const chroma = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n: number) => {
    const k = (n + (hue - Math.floor(hue)) * 12) % 12;
    return 255 * (lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

export function mix(a: Colour, b: Colour, share: number): Colour {
  const one = (i: 0 | 1 | 2) => a[i] + (b[i] - a[i]) * share;
  return [one(0), one(1), one(2)];
}

export function luminance(c: Colour): number {
  return 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2];
}

/** The colours one product is printed in. */
export interface Palette {
  base: Colour;
  ink: Colour;
  accent: Colour;
  paper: Colour;
  text: Colour;
  /** Cap, lid, or glass. */
  hull: Colour;
}

type Scheme = 'deep' | 'bright' | 'light' | 'dark' | 'natural';
const SCHEMES: readonly Scheme[] = ['deep', 'bright', 'light', 'deep', 'bright', 'natural', 'light', 'dark'];

function baseAndInk(random: Random, hue: number, scheme: Scheme): [Colour, Colour] {
  const other = hue + random.pick([0.08, -0.08, 0.42, 0.5, 0.33]);
  switch (scheme) {
    case 'deep':
      return [hsl(hue, random.between(0.55, 0.8), random.between(0.28, 0.4)), hsl(other, 0.7, 0.68)];
    case 'bright':
      return [hsl(hue, random.between(0.7, 0.9), random.between(0.46, 0.58)), hsl(hue + 0.02, 0.5, 0.9)];
    case 'light':
      return [hsl(hue, random.between(0.2, 0.5), random.between(0.84, 0.92)), hsl(hue, 0.65, 0.42)];
    case 'natural':
      return [hsl(0.06 + 0.1 * random.next(), 0.35, random.between(0.55, 0.72)), hsl(hue, 0.6, 0.3)];
    case 'dark':
      return [hsl(hue, 0.3, random.between(0.1, 0.18)), hsl(other, 0.75, 0.55)];
  }
}

/** The n-th palette of a shelf: hues spread by the golden ratio, so that neighbours in the list differ. */
export function createPalette(random: Random, n: number): Palette {
  const hue = n * 0.618034 + random.between(-0.03, 0.03);
  const [base, ink] = baseAndInk(random, hue, SCHEMES[n % SCHEMES.length] ?? 'bright');
  const accent = hsl(hue + random.pick([0.5, 0.4, 0.6, 0.15]), 0.8, 0.52);
  const paper = random.pick<Colour>([
    [248, 245, 236],
    [252, 252, 250],
    [244, 234, 208],
  ]);
  const text = hsl(hue, 0.5, random.between(0.1, 0.2));
  const hull = random.pick<Colour>([accent, base, [238, 238, 236], [46, 46, 50], [206, 170, 88], ink]);
  return { base, ink, accent, paper, text, hull };
}
