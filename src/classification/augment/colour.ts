import type { Raster } from '../../image/resample.ts';

/** ITU-R BT.601 luma, as PIL's conversion to grey. */
const LUMA = [0.299, 0.587, 0.114] as const;

/** Each output channel from red, green, blue and 1: three rows of four. Every change of colour here is one. */
type ColourMap = readonly number[];

const IDENTITY: ColourMap = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];

/** `second` after `first`. */
function compose(second: ColourMap, first: ColourMap): ColourMap {
  const out: number[] = [];
  for (let row = 0; row < 3; row += 1) {
    for (let column = 0; column < 4; column += 1) {
      let sum = column === 3 ? at(second, row, 3) : 0;
      for (let k = 0; k < 3; k += 1) sum += at(second, row, k) * at(first, k, column);
      out.push(sum);
    }
  }
  return out;
}

function at(map: ColourMap, row: number, column: number): number {
  return map[row * 4 + column] ?? 0;
}

function scaled(factor: number, offset = 0): ColourMap {
  return [factor, 0, 0, offset, 0, factor, 0, offset, 0, 0, factor, offset];
}

function saturated(factor: number): ColourMap {
  const rest = 1 - factor;
  return [0, 1, 2].flatMap((row) => [
    ...LUMA.map((luma, column) => rest * luma + (row === column ? factor : 0)),
    0,
  ]);
}

/** Turns the colours around the grey axis in YIQ: what a shift of the hue is, but for saturated colours. */
function turned(degrees: number): ColourMap {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const toYiq: ColourMap = [...LUMA, 0, 0.5959, -0.2746, -0.3213, 0, 0.2115, -0.5227, 0.3112, 0];
  const turn: ColourMap = [1, 0, 0, 0, 0, cos, -sin, 0, 0, sin, cos, 0];
  const toRgb: ColourMap = [1, 0.956, 0.619, 0, 1, -0.272, -0.647, 0, 1, -1.106, 1.703, 0];
  return compose(toRgb, compose(turn, toYiq));
}

function applyMap({ data }: Raster, map: ColourMap): void {
  const [rr = 1, rg = 0, rb = 0, r1 = 0, gr = 0, gg = 1, gb = 0, g1 = 0, br = 0, bg = 0, bb = 1, b1 = 0] =
    map;
  for (let i = 0; i < data.length; i += 3) {
    const [r, g, b] = [data[i] ?? 0, data[i + 1] ?? 0, data[i + 2] ?? 0];
    data[i] = clamp(rr * r + rg * g + rb * b + r1);
    data[i + 1] = clamp(gr * r + gg * g + gb * b + g1);
    data[i + 2] = clamp(br * r + bg * g + bb * b + b1);
  }
}

function clamp(value: number): number {
  return value <= 0 ? 0 : value >= 255 ? 255 : Math.round(value);
}

function meanGrey({ data }: Raster): number {
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i += 1) sums[i % 3] = (sums[i % 3] ?? 0) + (data[i] ?? 0);
  return LUMA.reduce((grey, luma, channel) => grey + luma * (sums[channel] ?? 0), 0) / (data.length / 3);
}

/** Factors of 1 and a hue of 0 degrees change nothing. */
export interface ColourChange {
  brightness?: number;
  contrast?: number;
  saturation?: number;
  hueDegrees?: number;
}

/** Brightness, then contrast around the picture's mean, then saturation, then hue; rounded once. */
export function changeColour(picture: Raster, change: ColourChange): void {
  const { brightness = 1, contrast = 1, saturation = 1, hueDegrees = 0 } = change;
  let map = scaled(brightness);
  if (contrast !== 1) {
    const mean = Math.min(255, meanGrey(picture) * brightness);
    map = compose(scaled(contrast, (1 - contrast) * mean), map);
  }
  if (saturation !== 1) map = compose(saturated(saturation), map);
  if (hueDegrees !== 0) map = compose(turned(hueDegrees), map);
  if (map.some((value, i) => value !== IDENTITY[i])) applyMap(picture, map);
}
