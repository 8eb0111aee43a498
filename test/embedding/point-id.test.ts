import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { isUuid, pointIdOf, pointIdOfUrl } from '../../src/embedding/point-id.ts';

/** Made with Python: uuid.uuid5(uuid.NAMESPACE_DNS, id). */
const BY_PYTHON = [
  ['56eb6438-11f1-591b-af36-f528be2bf501_synthetic_0', '718f0f74-9f76-5104-876a-d768ac9080ec'],
  ['56eb6438-11f1-591b-af36-f528be2bf501_real_None', '22d065f5-84f2-596d-ae07-e7c1037795bf'],
  ['cutout-1', 'b1702cab-1726-5a37-92e3-eadedb9fa5c4'],
  ['', '4ebd0208-8328-5d69-8c44-ec50939c0967'],
  ['ürün_5', '8f12d70b-3566-5040-967f-07d0238ff0ae'],
  ['日本語_synthetic_0', '8baa4880-2a77-52b4-93dc-10086f319229'],
  ['😀', '52096f1e-2b44-5520-929f-9e587f0f4899'],
  // Neither the canonical form of a uuid, nor digits alone, nor a number of 64 bits.
  ['c6c7a4bcd9d05678a1d9b4086b0c5254', '8e56b262-7ff6-5222-969c-faf05f275ca0'],
  ['-1', 'b4119dc1-9b26-5b3a-965c-3353a2b5feff'],
  ['1.5', 'ccf8fc04-8d1e-5499-bb94-27d2811c9bce'],
  [' 7', '6ac55f7d-2c27-5aab-88a3-5d4533db8b0a'],
  ['18446744073709551616', 'ddb7793d-5850-5e3f-bdb1-0762b09cd541'],
] as const;

describe('the point of an image', () => {
  test.each(BY_PYTHON)('%j has the point that existing workers gave it', (id, expected) => {
    expect(pointIdOf(id)).toBe(expected);
  });

  test.each([
    ['0', 0],
    ['4711', 4711],
    ['007', 7],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['18446744073709551615', 18446744073709551615n],
  ])('%s is the number itself', (id, expected) => {
    expect(pointIdOf(id)).toBe(expected);
  });

  test('a uuid is itself, in lower case', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.boolean(), (uuid, upper) => {
        expect(pointIdOf(upper ? uuid.toUpperCase() : uuid)).toBe(uuid.toLowerCase());
        expect(isUuid(uuid.toUpperCase())).toBe(true);
      }),
    );
  });

  test('a number of 64 bits is itself', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (number) => {
        expect(BigInt(pointIdOf(String(number)))).toBe(number);
      }),
    );
  });

  test('anything gives what a store takes, always the same, and different ids different points', () => {
    const text = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const [pointA, pointB] = [pointIdOf(a), pointIdOf(b)];
        expect(typeof pointA !== 'string' || isUuid(pointA)).toBe(true);
        expect(pointIdOf(a)).toBe(pointA);
        const sameNumber = /^\d+$/.test(a) && /^\d+$/.test(b) && BigInt(a) === BigInt(b);
        expect(pointA === pointB).toBe(a === b || sameNumber);
      }),
    );
  });

  test('an id with several urls has a point for each, none of them its own', () => {
    fc.assert(
      fc.property(fc.string(), fc.webUrl(), fc.webUrl(), (id, a, b) => {
        expect(isUuid(String(pointIdOfUrl(id, a)))).toBe(true);
        expect(pointIdOfUrl(id, a) === pointIdOfUrl(id, b)).toBe(a === b);
        expect(pointIdOfUrl(id, a)).not.toBe(pointIdOf(id));
      }),
    );
  });
});
