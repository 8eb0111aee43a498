import { StoreError } from '../base/errors.ts';

/** Qdrant's REST port. Its cloud listens there too, so that an address without a port means this one. */
const QDRANT_PORT = 6333;

export interface QdrantAddress {
  /** Scheme and host, as in `https://xyz.cloud.qdrant.io`. */
  origin: string;
  port: number;
  /** A path in front of Qdrant's own, behind a proxy; empty where there is none. */
  prefix: string;
}

/**
 * Takes an address apart. The client alone would drop a path, and would turn an explicit `:443` or `:80` into 6333,
 * because the URL class hides a scheme's default port.
 * @throws StoreError `qdrant_rejected` for what is no http(s) address, or carries a password, a query or a hash.
 */
export function parseQdrantAddress(text: string): QdrantAddress {
  const refused = (why: string): StoreError =>
    new StoreError('qdrant', 'qdrant_rejected', `the address of Qdrant ${why}`);
  const url = URL.parse(text.trim());
  if (url === null || !/^https?:$/.test(url.protocol)) throw refused('is not an http(s) address');
  if (url.username !== '' || url.password !== '') {
    throw refused('carries a user or a password: give an api key instead');
  }
  if (url.search !== '' || url.hash !== '') throw refused('must not have a query or a hash');
  const explicit = /^https?:\/\/[^/?#]*:(\d+)(?:[/?#]|$)/i.exec(text.trim())?.[1];
  return {
    origin: `${url.protocol}//${url.hostname}`,
    port: explicit === undefined ? QDRANT_PORT : Number(explicit),
    prefix: url.pathname.replace(/\/+$/, ''),
  };
}
