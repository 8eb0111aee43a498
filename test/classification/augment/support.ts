import type { Raster } from '../../../src/image/resample.ts';

/** A picture whose every pixel differs from its neighbours. */
export function picture(width = 40, height = 30): Raster {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i += 1) data[i] = (i * 37 + (i % 7) * 11 + ((i / 90) | 0) * 3) % 256;
  return { data, width, height };
}

export const even = (value: number, width = 8, height = 8): Raster => ({
  data: new Uint8Array(width * height * 3).fill(value),
  width,
  height,
});

export const copyOf = (raster: Raster): Raster => ({ ...raster, data: Uint8Array.from(raster.data) });

export function mean(values: Iterable<number>): number {
  let [sum, count] = [0, 0];
  for (const value of values) {
    sum += value;
    count += 1;
  }
  return sum / count;
}

export function deviation(values: Iterable<number>): number {
  const all = [...values];
  const middle = mean(all);
  return Math.sqrt(mean(all.map((value) => (value - middle) ** 2)));
}
