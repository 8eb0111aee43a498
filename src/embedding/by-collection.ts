import type { EmbeddedImage } from './embedded-image.ts';

/** One write's worth. */
export interface CollectionImages {
  collection: string;
  images: EmbeddedImage[];
}

const MAX_WAITING_WRITES = 4;

/** Images of one collection each, `size` of them but for the last of each. Holds a few writes at the most. */
export async function* byCollection(
  source: AsyncIterable<readonly EmbeddedImage[]>,
  size: number,
): AsyncGenerator<CollectionImages> {
  const waiting = new Map<string, EmbeddedImage[]>();
  let held = 0;
  const take = (collection: string): CollectionImages => {
    const images = waiting.get(collection) ?? [];
    waiting.delete(collection);
    held -= images.length;
    return { collection, images };
  };
  for await (const images of source) {
    for (const image of images) {
      const { collection } = image.ref;
      const same = waiting.get(collection) ?? [];
      waiting.set(collection, same);
      held += same.push(image) > 0 ? 1 : 0;
      if (same.length >= size) yield take(collection);
      // A job may name many collections: the fullest goes out early rather than all being held.
      else if (held >= size * MAX_WAITING_WRITES) yield take(fullest(waiting));
    }
  }
  for (const collection of [...waiting.keys()]) yield take(collection);
}

function fullest(waiting: ReadonlyMap<string, readonly unknown[]>): string {
  return [...waiting].reduce((a, b) => (b[1].length > a[1].length ? b : a))[0];
}
