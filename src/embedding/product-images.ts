import { z } from 'zod';

import type { Database } from '../supabase/database.ts';
import { selectFrames, selectFrom, type FrameSelection } from './frames.ts';
import { storageOf } from '../job/stored-file.ts';
import type { ImageRef } from './image-ref.ts';
import type { SourceConfig } from './input.ts';
import { pointIdOf } from './point-id.ts';
import type { Product } from './products.ts';

type ImageType = SourceConfig['filters']['image_types'][number];

const ROW = z.object({
  id: z.string(),
  product_id: z.string(),
  image_path: z.string().nullish(),
  image_url: z.string().nullish(),
  image_type: z.string(),
  frame_index: z.number().nullish(),
});
type Row = z.infer<typeof ROW>;

/** The rows of `product_images` of a page of products, by product id. */
export type ImageRows = ReadonlyMap<string, readonly Row[]>;

export interface ImageRowsQuery {
  database: Database;
  products: readonly Product[];
  types: readonly ImageType[];
  signal?: AbortSignal | undefined;
}

/** Reads what `product_images` holds of these products; nothing where only synthetic images are asked for. */
export async function readImageRows(query: ImageRowsQuery): Promise<ImageRows> {
  const { database, products, types, signal } = query;
  const stored = types.filter((type) => type !== 'synthetic');
  const byProduct = new Map<string, Row[]>();
  if (stored.length === 0 || products.length === 0) return byProduct;
  const pages = database.pages({
    table: 'product_images',
    columns: 'id,product_id,image_path,image_url,image_type,frame_index',
    schema: ROW,
    filters: [
      { column: 'product_id', op: 'in', value: products.map((product) => product.id) },
      { column: 'image_type', op: 'in', value: stored },
    ],
    signal,
  });
  for await (const page of pages) {
    for (const row of page) {
      const rows = byProduct.get(row.product_id);
      if (rows === undefined) byProduct.set(row.product_id, [row]);
      else rows.push(row);
    }
  }
  return byProduct;
}

export interface ProductImagesOptions {
  product: Product;
  rows: readonly Row[];
  types: readonly ImageType[];
  selection: FrameSelection;
  collection: string;
}

/**
 * The images of one product, type by type, in the order of `types`. Synthetic ones are the frames under `frames_path`;
 * real and augmented ones the rows, ordered by `frame_index` (null last), then id. The selection applies to each type.
 */
export function imagesOfProduct(options: ProductImagesOptions): ImageRef[] {
  const { product, types, selection, collection } = options;
  return types.flatMap((type) => {
    const images = type === 'synthetic' ? frames(product, selection) : storedImages(options, type);
    return images.map(({ key, url, frameIndex }) => {
      const id = `${product.id}_${type}_${key}`;
      return {
        id,
        pointId: pointIdOf(id),
        collection,
        type: 'product' as const,
        url,
        storage: storageOf(url),
        metadata: {
          source: 'product',
          product_id: product.id,
          image_type: type,
          frame_index: frameIndex,
          domain: type,
          barcode: product.barcode ?? null,
          brand_name: product.brand_name ?? null,
          product_name: product.product_name ?? null,
          is_primary: type === 'synthetic' && frameIndex === 0,
        },
      };
    });
  });
}

interface Image {
  /** What the image id ends in. */
  key: string;
  url: string;
  frameIndex: number | null;
}

function frames(product: Product, selection: FrameSelection): Image[] {
  const path = product.frames_path?.replace(/\/+$/, '') ?? '';
  if (path === '') return [];
  return selectFrames(product.frame_count ?? 0, selection).map((index) => ({
    key: String(index),
    url: `${path}/frame_${String(index).padStart(4, '0')}.png`,
    frameIndex: index,
  }));
}

/** Ids come from the whole list, so that they stay the same whichever frames are selected. */
function storedImages(options: ProductImagesOptions, type: ImageType): Image[] {
  const rows = options.rows.filter((row) => row.image_type === type).sort(byFrameThenId);
  const images = rows.map((row, i) => {
    const frameIndex = row.frame_index ?? null;
    // Rows that share an index are all named by their own id: which of them came first may change with the next row.
    const shared = [rows[i - 1], rows[i + 1]].some((other) => other?.frame_index === frameIndex);
    return {
      key: frameIndex === null || shared ? row.id : String(frameIndex),
      // An image without any address is given all the same: it fails alone, and is named among the failed.
      url: [row.image_url, row.image_path].find((url) => url != null && url !== '') ?? '',
      frameIndex,
    };
  });
  return selectFrom(images, options.selection);
}

function byFrameThenId(a: Row, b: Row): number {
  const frames = (a.frame_index ?? Infinity) - (b.frame_index ?? Infinity);
  if (frames !== 0 && !Number.isNaN(frames)) return frames;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
