/**
 * At most so many UTF-16 units of a text, as every store takes it: Postgres refuses U+0000, and half of a pair that stands
 * for one character (the cut may leave one), with all that is written beside it. Either becomes U+FFFD.
 */
export function storableText(text: string, maxChars: number): string {
  return text.slice(0, maxChars).toWellFormed().replaceAll('\0', '\uFFFD');
}
