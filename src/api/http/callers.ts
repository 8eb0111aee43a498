import { createHash, timingSafeEqual } from 'node:crypto';

/** Who calls: a key by its fingerprint, which logs may show. */
interface Caller {
  id: string;
}

export interface Callers {
  /** The caller whose key this is (`Bearer KEY`); undefined where it is nobody's. */
  of(authorization: string | undefined): Caller | undefined;
}

const ID_CHARS = 8;

/** Keys are compared by their hashes, all of them, in a time that says nothing of how much was right. */
export function createCallers(keys: readonly string[]): Callers {
  const known = keys.map((key) => {
    const hash = digest(key);
    return { hash, caller: { id: hash.toString('hex').slice(0, ID_CHARS) } };
  });
  return {
    of(authorization) {
      const given = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
      if (given === undefined) return undefined;
      const hash = digest(given);
      let found: Caller | undefined;
      for (const { hash: expected, caller } of known) if (timingSafeEqual(hash, expected)) found = caller;
      return found;
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
