import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';

const READ_BYTES = 1 << 20;

/** What the hub promises of a file: `sha256` of a large one, git's own `sha1` of a small one. */
export interface Promised {
  /** 64 or 40 hexadecimal digits, as the hub's `ETag` has them. */
  hash: string;
  size: number;
}

export interface Digest {
  sha256: string;
  /** In the promise's own terms: equal to its `hash` where the content is what was promised. */
  asPromised: string;
}

export interface PromiseHasher {
  update(bytes: Uint8Array): void;
  digest(): Digest;
}

/** Is this a hash in one of the hub's two forms? */
export function isHash(text: string): boolean {
  return /^(?:[0-9a-f]{64}|[0-9a-f]{40})$/.test(text);
}

/** Both hashes in one pass. Git's is over `blob {size}`, a zero byte, and the content. */
export function createPromiseHasher({ hash, size }: Promised): PromiseHasher {
  const sha256 = createHash('sha256');
  const git = hash.length === 40 ? createHash('sha1').update(`blob ${String(size)}\0`) : undefined;
  return {
    update(bytes) {
      sha256.update(bytes);
      git?.update(bytes);
    },
    digest() {
      const plain = sha256.digest('hex');
      return { sha256: plain, asPromised: git?.digest('hex') ?? plain };
    },
  };
}

/** Streams a file's content into the hasher. */
export async function hashInto(path: string, hasher: Pick<Hash | PromiseHasher, 'update'>): Promise<void> {
  for await (const piece of createReadStream(path, { highWaterMark: READ_BYTES })) {
    hasher.update(piece as Buffer);
  }
}

/** A file's SHA-256 and size, and what it is in the terms of a hash of the hub. */
export async function digestFile(path: string, hash = ''): Promise<Digest & { size: number }> {
  const { size } = await stat(path);
  const hasher = createPromiseHasher({ hash, size });
  await hashInto(path, hasher);
  return { ...hasher.digest(), size };
}
