/** Uuids as numbers: their order is the same as that of their text in lower case, and Postgres'. */
const BITS = 128n;

/** Numbers from one on and before another. */
export interface NumberRange {
  from: bigint;
  before: bigint;
}

export const ALL_KEYS: NumberRange = { from: 0n, before: 1n << BITS };

export function numberOf(uuid: string): bigint {
  return BigInt(`0x${uuid.replaceAll('-', '')}`);
}

export function uuidOf(number: bigint): string {
  const hex = number.toString(16).padStart(32, '0');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** So many ranges of the same width, side by side; fewer where there are not so many numbers. */
export function evenly({ from, before }: NumberRange, parts: number): NumberRange[] {
  const width = before - from;
  const count = width < BigInt(parts) ? width : BigInt(parts);
  return Array.from({ length: Number(count) }, (_, i) => ({
    from: from + (width * BigInt(i)) / count,
    before: from + (width * BigInt(i + 1)) / count,
  }));
}
