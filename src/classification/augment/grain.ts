import type { Raster } from '../../image/resample.ts';
import type { Random } from '../random.ts';

/** Beyond so many deviations a Gaussian adds nothing that 8 bits would show. */
const BLUR_REACH = 2.5;

/** Gaussian blur with this deviation in pixels; edges are continued. */
export function blur({ data, width, height }: Raster, deviation: number): Raster {
  const reach = Math.max(1, Math.ceil(deviation * BLUR_REACH));
  const weights = Float32Array.from({ length: 2 * reach + 1 }, (_, i) =>
    Math.exp(-((i - reach) ** 2) / (2 * deviation ** 2)),
  );
  const sum = weights.reduce((a, b) => a + b, 0);
  const kernel = weights.map((weight) => weight / sum);
  // Along rows the three channels lie side by side; along columns a whole row is one such group.
  const across = blurLines(Float32Array.from(data), { lines: height, length: width, group: 3 }, kernel);
  const down = blurLines(across, { lines: 1, length: height, group: width * 3 }, kernel);
  const out = new Uint8Array(down.length);
  for (let i = 0; i < out.length; i += 1) out[i] = (down[i] ?? 0) + 0.5;
  return { data: out, width, height };
}

interface Lines {
  lines: number;
  /** Places on a line, each of `group` values. */
  length: number;
  group: number;
}

function blurLines(data: Float32Array, { lines, length, group }: Lines, kernel: Float32Array): Float32Array {
  const reach = (kernel.length - 1) / 2;
  const out = new Float32Array(data.length);
  for (let line = 0; line < lines; line += 1) {
    const start = line * length * group;
    for (let place = 0; place < length; place += 1) {
      const to = start + place * group;
      for (let k = -reach; k <= reach; k += 1) {
        const from = start + Math.min(length - 1, Math.max(0, place + k)) * group;
        const weight = kernel[k + reach] ?? 0;
        for (let i = 0; i < group; i += 1) out[to + i] = (out[to + i] ?? 0) + weight * (data[from + i] ?? 0);
      }
    }
  }
  return out;
}

/** Normal numbers are drawn from a table: a picture needs 150,000 of them. */
const TABLE_BITS = 12;
const TABLE_SIZE = 2 ** TABLE_BITS;

/** Adds Gaussian noise of this deviation to each value, in place. */
export function addNoise({ data }: Raster, deviation: number, random: Random): void {
  const table = Float32Array.from({ length: TABLE_SIZE }, () => random.normal() * deviation);
  let place = random.below(2 ** 31);
  for (let i = 0; i < data.length; i += 1) {
    // Knuth's numbers for a linear congruence; its upper bits are the random ones.
    place = (Math.imul(place, 1_664_525) + 1_013_904_223) | 0;
    const value = (data[i] ?? 0) + (table[place >>> (32 - TABLE_BITS)] ?? 0);
    data[i] = value <= 0 ? 0 : value >= 255 ? 255 : Math.round(value);
  }
}

/** PIL's `ImageFilter.SMOOTH`: a third of the weight on the middle. */
const SMOOTH_MIDDLE = 5;
const SMOOTH_SUM = 13;

/** 1 changes nothing, 0 is smooth, 2 is sharp, as PIL's `ImageEnhance.Sharpness`; the outermost pixels stay. */
export function sharpen({ data, width, height }: Raster, factor: number): Raster {
  const out = Uint8Array.from(data);
  const row = width * 3;
  for (let y = 1; y < height - 1; y += 1) {
    for (let i = y * row + 3; i < (y + 1) * row - 3; i += 1) {
      let sum = (SMOOTH_MIDDLE - 1) * (data[i] ?? 0);
      for (let dy = -row; dy <= row; dy += row) {
        sum += (data[i + dy - 3] ?? 0) + (data[i + dy] ?? 0) + (data[i + dy + 3] ?? 0);
      }
      const smooth = sum / SMOOTH_SUM;
      const value = smooth + factor * ((data[i] ?? 0) - smooth);
      out[i] = value <= 0 ? 0 : value >= 255 ? 255 : Math.round(value);
    }
  }
  return { data: out, width, height };
}
