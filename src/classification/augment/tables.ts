import type { Raster } from '../../image/resample.ts';

/** Changes that look at one value at a time: a table of 256 for each channel. */
type Tables = readonly [Uint8Array, Uint8Array, Uint8Array];

function tableOf(map: (value: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, value) => Math.min(255, Math.max(0, Math.round(map(value)))));
}

function applyTables({ data }: Raster, [red, green, blue]: Tables): void {
  for (let i = 0; i < data.length; i += 3) {
    data[i] = red[data[i] ?? 0] ?? 0;
    data[i + 1] = green[data[i + 1] ?? 0] ?? 0;
    data[i + 2] = blue[data[i + 2] ?? 0] ?? 0;
  }
}

function applyToAll(picture: Raster, map: (value: number) => number): void {
  const table = tableOf(map);
  applyTables(picture, [table, table, table]);
}

/** Counts of each value of one channel. */
function histogram({ data }: Raster, channel: number): Uint32Array {
  const counts = new Uint32Array(256);
  for (let i = channel; i < data.length; i += 3) counts[data[i] ?? 0] = (counts[data[i] ?? 0] ?? 0) + 1;
  return counts;
}

function tablesOfChannels(picture: Raster, make: (counts: Uint32Array) => Uint8Array): Tables {
  return [make(histogram(picture, 0)), make(histogram(picture, 1)), make(histogram(picture, 2))];
}

export function invert(picture: Raster): void {
  applyToAll(picture, (value) => 255 - value);
}

/** Keeps so many bits of each value, 1 to 8. */
export function posterize(picture: Raster, bits: number): void {
  const mask = (0xff << (8 - bits)) & 0xff;
  applyToAll(picture, (value) => value & mask);
}

/** Inverts values from the threshold on. */
export function solarize(picture: Raster, threshold: number): void {
  applyToAll(picture, (value) => (value < threshold ? value : 255 - value));
}

/** Adds to values below 128. */
export function solarizeAdd(picture: Raster, add: number): void {
  applyToAll(picture, (value) => (value < 128 ? value + add : value));
}

/** Stretches each channel to 0..255, as PIL's `ImageOps.autocontrast`. */
export function autoContrast(picture: Raster): void {
  const stretch = (counts: Uint32Array): Uint8Array => {
    const low = counts.findIndex((count) => count > 0);
    const high = counts.findLastIndex((count) => count > 0);
    return tableOf((value) => (high <= low ? value : ((value - low) * 255) / (high - low)));
  };
  applyTables(picture, tablesOfChannels(picture, stretch));
}

/** Evens out each channel's histogram, as PIL's `ImageOps.equalize`. */
export function equalize(picture: Raster): void {
  const even = (counts: Uint32Array): Uint8Array => {
    const present = counts.filter((count) => count > 0);
    const total = present.reduce((sum, count) => sum + count, 0);
    const step = Math.floor((total - (present.at(-1) ?? 0)) / 255);
    if (present.length < 2 || step === 0) return tableOf((value) => value);
    let sum = Math.floor(step / 2);
    return Uint8Array.from(counts, (count) => {
      const value = Math.min(255, Math.floor(sum / step));
      sum += count;
      return value;
    });
  };
  applyTables(picture, tablesOfChannels(picture, even));
}
