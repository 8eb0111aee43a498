const MAX_SLUG_CHARS = 80;

/** A name as a part of a collection's name: `dinov2-base` is `dinov2_base`. Undefined where nothing is left of it. */
export function slugOf(name: string): string | undefined {
  const plain = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}+/gu, '')
    .replace(/[^a-z\d]+/g, '_')
    .slice(0, MAX_SLUG_CHARS)
    .replace(/^_+|_+$/g, '');
  return plain === '' ? undefined : plain;
}
