import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { InputError } from '../../src/base/errors.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import type { LegacyImage } from '../../src/embedding/input.ts';
import { legacyImages } from '../../src/embedding/legacy-images.ts';
import { createListingTally, type ListingTally } from '../../src/embedding/listing-tally.ts';
import { pointIdOf } from '../../src/embedding/point-id.ts';

const UUID = '3f4202e7-dac0-54ea-be08-137be70f51b7';

type Given = Omit<LegacyImage, 'type'> & { id: string; url: string; type?: ImageRef['type'] };

/** Of type product where a test does not care. */
function list(given: readonly Given[], primary?: string): { refs: ImageRef[]; tally: ListingTally } {
  const images = given.map((image) => ({ type: 'product' as const, ...image }));
  const tally = createListingTally();
  return { refs: [...legacyImages(images, primary, tally)], tally };
}

describe('images that a job carries itself', () => {
  test('an image as it came, in its collection, with its metadata', () => {
    const metadata = {
      source: 'product',
      product_id: 'p',
      image_type: 'real',
      domain: 'real',
      barcode: '869',
    };
    const { refs } = list([
      { id: 'p_real_None', url: 'https://i.test/1.png', type: 'product', collection: 'own', metadata },
    ]);
    expect(refs).toStrictEqual([
      {
        id: 'p_real_None',
        pointId: pointIdOf('p_real_None'),
        collection: 'own',
        type: 'product',
        url: 'https://i.test/1.png',
        storage: null,
        metadata: { ...metadata, is_primary: false },
      },
    ]);
  });

  test('what is left out: the primary collection, and the source that searches filter by', () => {
    const { refs } = list([{ id: '7', url: 'a/b.png' }], 'primary');
    expect(refs).toMatchObject([
      {
        collection: 'primary',
        type: 'product',
        storage: { bucket: 'frames', path: 'a/b.png' },
        metadata: { source: 'product' },
      },
    ]);
    expect(
      list([{ id: UUID, url: 'https://i.test/c', type: 'cutout' }], 'primary').refs[0]?.metadata,
    ).toEqual({
      source: 'cutout',
    });
  });

  test('the first synthetic frame is the primary one, unless the job says otherwise', () => {
    const metadata = { image_type: 'synthetic', frame_index: 0 };
    const { refs } = list(
      [
        { id: 'a', url: 'https://i.test/a', metadata },
        { id: 'b', url: 'https://i.test/b', metadata: { ...metadata, frame_index: 1 } },
        { id: 'c', url: 'https://i.test/c', metadata: { ...metadata, is_primary: false } },
      ],
      'primary',
    );
    expect(refs.map((ref) => ref.metadata.is_primary)).toEqual([true, false, false]);
  });

  test('neither the image nor the job names a collection: the image is named', () => {
    const images = [
      { id: 'a', url: 'https://i.test/a', collection: 'c' },
      { id: 'b', url: 'https://i.test/b' },
    ];
    expect(() => list(images)).toThrow(InputError);
    expect(() => list(images)).toThrow(/images\[1\]\.collection/);
  });

  test('an id that comes with several urls: all are kept, as points of their own, and counted', () => {
    const { refs, tally } = list(
      ['1.png', '2.png', '3.png'].map((url) => ({ id: 'p_augmented_None', url: `https://i.test/${url}` })),
      'one',
    );
    expect(refs.map((ref) => ref.id)).toEqual(['p_augmented_None', 'p_augmented_None', 'p_augmented_None']);
    expect(new Set([...refs.map((ref) => ref.pointId), pointIdOf('p_augmented_None')]).size).toBe(4);
    expect(tally).toMatchObject({ images_sharing_an_id: 3, repeated_images: 0 });
  });

  test('the same id with the same url counts once in a collection, and once in another', () => {
    const image = { id: UUID, url: 'https://i.test/1.png' };
    const { refs, tally } = list([image, { ...image, collection: 'two' }, image], 'one');
    expect(refs.map((ref) => [ref.collection, ref.pointId])).toEqual([
      ['one', UUID],
      ['two', UUID],
    ]);
    expect(tally).toMatchObject({ images_sharing_an_id: 0, repeated_images: 1 });
  });

  test('ids that would be one point are one id: case of a uuid, zeros before a number', () => {
    const { refs, tally } = list(
      [
        { id: UUID, url: 'https://i.test/1' },
        { id: UUID.toUpperCase(), url: 'https://i.test/1' },
        { id: '7', url: 'https://i.test/7' },
        { id: '007', url: 'https://i.test/007' },
      ],
      'one',
    );
    expect(refs.map((ref) => ref.id)).toEqual([UUID, '7', '007']);
    expect(new Set(refs.map((ref) => String(ref.pointId))).size).toBe(3);
    expect(tally).toMatchObject({ images_sharing_an_id: 2, repeated_images: 1 });
  });

  test('every picture is kept and no two share a point, whatever repeats', () => {
    const image = fc.record({
      id: fc.constantFrom('a', 'b', '7', '07', UUID, UUID.toUpperCase()),
      url: fc.constantFrom('https://i.test/1', 'https://i.test/2', 'https://i.test/3'),
      collection: fc.constantFrom('one', 'two'),
    });
    fc.assert(
      fc.property(fc.array(image, { maxLength: 30 }), (images) => {
        const { refs, tally } = list(images);
        const points = refs.map((ref) => `${ref.collection} ${String(ref.pointId)}`);
        expect(new Set(points).size).toBe(refs.length);
        const pictures = (items: readonly { id: string; url: string; collection: string }[]): Set<string> =>
          new Set(items.map((item) => `${item.collection} ${String(pointIdOf(item.id))} ${item.url}`));
        expect(pictures(refs)).toEqual(pictures(images));
        expect(refs.length).toBe(pictures(images).size);
        expect(refs.length + tally.repeated_images).toBe(images.length);
      }),
    );
  });
});
