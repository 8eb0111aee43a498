import { v5 as uuidV5 } from 'uuid';

import type { PointId } from '../qdrant/store.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const DIGITS = /^[0-9]+$/;
const MAX_U64 = 2n ** 64n - 1n;

/** A uuid in its 8-4-4-4-12 form, of any version and either case. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/**
 * The point of an image, bit for bit as the points that exist already: the id itself (lower case) where it is a uuid
 * in its 8-4-4-4-12 form, the number itself where it is digits that fit 64 bits (leading zeros don't count: `007` is
 * 7), else uuid v5 of the id in the DNS namespace.
 */
export function pointIdOf(imageId: string): PointId {
  if (isUuid(imageId)) return imageId.toLowerCase();
  if (DIGITS.test(imageId)) {
    const number = BigInt(imageId);
    if (number <= MAX_U64) return number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : number;
  }
  return uuidOf(imageId);
}

/** The point of one of several images that share an id and differ in url: uuid v5 of `{id}|{url}`, DNS namespace. */
export function pointIdOfUrl(imageId: string, url: string): PointId {
  return uuidOf(`${imageId}|${url}`);
}

/** Half of a pair that stands for one character has no bytes: the store will refuse that image, and no other. */
function uuidOf(name: string): string {
  return uuidV5(name.toWellFormed(), uuidV5.DNS);
}
