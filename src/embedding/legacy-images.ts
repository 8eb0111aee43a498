import { InputError } from '../base/errors.ts';
import { storageOf } from '../job/stored-file.ts';
import type { ImageRef } from './image-ref.ts';
import type { LegacyImage } from './input.ts';
import { pointIdOf, pointIdOfUrl } from './point-id.ts';
import type { ListingTally } from './listing-tally.ts';

/** What one point of one collection stands for: the urls that came under its id, in order of appearance. */
type UrlsByPoint = Map<string, Set<string>>;

/**
 * The images that a job carries itself. In one collection, the same id with the same url counts once; the same id
 * with different urls gives a point each, whose id comes from id and url. Ids are compared as points are: upper and
 * lower case uuids, or `7` and `007`, are the same.
 * @throws InputError where neither the image nor the job names a collection.
 */
export function* legacyImages(
  images: readonly LegacyImage[],
  defaultCollection: string | undefined,
  tally: ListingTally,
): Generator<ImageRef> {
  const urls = urlsByPoint(images, defaultCollection);
  const given = new Set<string>();
  for (const [i, image] of images.entries()) {
    const collection = collectionOf(image, i, defaultCollection);
    const point = pointKey(collection, image.id);
    const shared = (urls.get(point)?.size ?? 0) > 1;
    const pointId = shared ? pointIdOfUrl(String(pointIdOf(image.id)), image.url) : pointIdOf(image.id);
    const key = pointKey(collection, String(pointId));
    if (given.has(key)) {
      tally.repeated_images += 1;
      continue;
    }
    given.add(key);
    if (shared) tally.images_sharing_an_id += 1;
    const { id, url, type } = image;
    yield {
      id,
      pointId,
      collection,
      type,
      url,
      storage: storageOf(url),
      metadata: metadataOf(type, image.metadata),
    };
  }
}

function urlsByPoint(images: readonly LegacyImage[], defaultCollection: string | undefined): UrlsByPoint {
  const urls: UrlsByPoint = new Map();
  for (const [i, image] of images.entries()) {
    const point = pointKey(collectionOf(image, i, defaultCollection), image.id);
    const same = urls.get(point);
    if (same === undefined) urls.set(point, new Set([image.url]));
    else same.add(image.url);
  }
  return urls;
}

function pointKey(collection: string, id: string): string {
  return `${collection}\n${String(pointIdOf(id))}`;
}

function collectionOf(image: LegacyImage, i: number, defaultCollection: string | undefined): string {
  const collection = image.collection ?? defaultCollection;
  if (collection !== undefined) return collection;
  const message = 'expected the name of a collection, here or as collection_name';
  throw new InputError([{ key: `images[${i}].collection`, message }]);
}

/** As it came, with what searches and the page go by where it is left out. */
function metadataOf(type: ImageRef['type'], metadata: Record<string, unknown> = {}): Record<string, unknown> {
  const isPrimary = metadata.image_type === 'synthetic' && metadata.frame_index === 0;
  return {
    source: type,
    ...(type === 'product' && metadata.image_type !== undefined && { is_primary: isPrimary }),
    ...metadata,
  };
}
