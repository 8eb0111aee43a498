import { InputError } from '../../base/errors.ts';
import type { Database } from '../../supabase/database.ts';
import { cutoutReadings } from '../cutouts.ts';
import type { SourceConfig } from '../input.ts';
import { productKeys } from '../products.ts';
import { MAX_SHARDS, rangesOf, type KeyRange, type Shard } from '../shard.ts';
import { knowIds, knowKeys, type Cut, type KnownKeys } from './cut-keys.ts';
import { imagesPerProduct } from './images-per-product.ts';
import { keySpaceOf } from './key-space.ts';

/** Into how many parts a listing goes. */
export type Division = { shards: number } | { images_per_shard: number };

export interface DividedShard {
  shard: Shard;
  /** How many images it lists, about: exact where a row is an image. */
  images: number;
}

export interface DivideOptions {
  config: SourceConfig;
  division: Division;
  database: Database;
  signal?: AbortSignal | undefined;
}

/**
 * Divides a listing into shards of about as many rows each: no more of them than there are rows, and one where it is
 * not worth dividing. Asks for counts over ranges of keys, a few thousand requests at most; nothing is paged through
 * but ten thousand keys.
 * @throws InputError where the images make more shards than there may be, or the products' filter is wrong.
 */
export async function divideListing(options: DivideOptions): Promise<DividedShard[]> {
  const { config, division, database, signal } = options;
  const reads = rangesOf(config);
  const perProduct = reads.products ? await imagesPerProduct(config, database, signal) : 0;
  const products = reads.products ? await productsOf(options) : undefined;
  const cutouts = reads.cutouts
    ? await knowKeys(keySpaceOf(database, cutoutReadings(config.filters), signal))
    : undefined;
  const rows = Math.max(products?.count ?? 0, cutouts?.count ?? 0);
  const images = (products?.count ?? 0) * perProduct + (cutouts?.count ?? 0);
  const of = Math.max(1, Math.min(wanted(division, images), rows));
  const [ofProducts, ofCutouts] = [await products?.cut(of), await cutouts?.cut(of)];
  return Array.from({ length: of }, (_, index) => ({
    shard: {
      index,
      of,
      ...(ofProducts && { products: rangeOf(ofProducts, index) }),
      ...(ofCutouts && { cutouts: rangeOf(ofCutouts, index) }),
    },
    images: Math.round((ofProducts?.counts[index] ?? 0) * perProduct + (ofCutouts?.counts[index] ?? 0)),
  }));
}

async function productsOf({ config, database, signal }: DivideOptions): Promise<KnownKeys> {
  const keys = productKeys(config.filters);
  return 'ids' in keys ? knowIds(keys.ids) : knowKeys(keySpaceOf(database, [keys], signal));
}

function wanted(division: Division, images: number): number {
  if ('shards' in division) return division.shards;
  const { images_per_shard: most } = division;
  const shards = Math.ceil(images / most);
  if (shards <= MAX_SHARDS) return shards;
  const message = `makes ${shards} shards of some ${Math.round(images)} images, and there may be ${MAX_SHARDS}; expected a whole number from ${Math.ceil(images / MAX_SHARDS)}`;
  throw new InputError([{ key: 'images_per_shard', message }]);
}

function rangeOf({ bounds }: Cut, index: number): KeyRange {
  const [from, before] = [bounds[index - 1], bounds[index]];
  return { ...(from !== undefined && { from }), ...(before !== undefined && { before }) };
}
