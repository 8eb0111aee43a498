import { badBody } from './fault.ts';

/**
 * A point id as the text that is its primary key. Byte order is Qdrant's order of ids: integers by size, then uuids.
 * `n` and twenty digits, or `u` and the uuid in lower case with hyphens.
 */
export type PointKey = string;

const MAX_ID = 2n ** 64n - 1n;
const DIGITS = 20;
/** The forms that Qdrant reads: with hyphens or without, in braces, or as a urn. */
const UUID_FORMS = [
  /^(?:urn:uuid:)?([\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12})$/i,
  /^\{([\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12})\}$/i,
  /^([\da-f]{32})$/i,
];

export function toPointKey(id: unknown): PointKey {
  if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return integerKey(BigInt(id));
  if (typeof id === 'bigint' && id >= 0n && id <= MAX_ID) return integerKey(id);
  const hex = typeof id === 'string' ? uuidDigits(id) : undefined;
  if (hex === undefined) {
    const shown = typeof id === 'bigint' ? String(id) : JSON.stringify(id);
    throw badBody(
      `value ${shown} is not a valid point ID, valid values are either an unsigned integer or a UUID`,
    );
  }
  return `u${[0, 8, 12, 16, 20].map((from, i, all) => hex.slice(from, all[i + 1])).join('-')}`;
}

/** The id as JSON text: all digits of an integer, a uuid in quotes. */
export function keyToJson(key: PointKey): string {
  return key.startsWith('n') ? String(BigInt(key.slice(1))) : `"${key.slice(1)}"`;
}

function integerKey(id: bigint): PointKey {
  return `n${String(id).padStart(DIGITS, '0')}`;
}

function uuidDigits(text: string): string | undefined {
  const found = UUID_FORMS.map((form) => form.exec(text)?.[1]).find((match) => match !== undefined);
  return found?.toLowerCase().replaceAll('-', '');
}
