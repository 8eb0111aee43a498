import { z } from 'zod';

import type { Database, Filter } from '../supabase/database.ts';
import { storageOf } from '../job/stored-file.ts';
import type { ImageRef } from './image-ref.ts';
import type { SourceConfig } from './input.ts';
import { pointIdOf } from './point-id.ts';
import type { KeyedRows } from './products.ts';
import { rangeFilters } from './range-filters.ts';
import type { KeyRange } from './shard.ts';

const CUTOUT = z.object({
  id: z.string(),
  image_url: z.string().nullish(),
  predicted_upc: z.string().nullish(),
  matched_product_id: z.string().nullish(),
  has_embedding: z.boolean().nullish(),
});
export type Cutout = z.infer<typeof CUTOUT>;

type CutoutFilters = Pick<
  SourceConfig['filters'],
  'has_embedding' | 'cutout_filter_has_upc' | 'cutout_merchant_names' | 'cutout_merchant_ids'
>;

export interface CutoutQuery {
  database: Database;
  filters: CutoutFilters;
  /** Only cutouts that are matched to one of these. */
  productIds?: readonly string[] | undefined;
  /** Only ids of this range. */
  range?: KeyRange | undefined;
  signal?: AbortSignal | undefined;
}

/** The cutouts that a job's filters mean, in pages, every one once. */
export async function* cutoutPages(query: CutoutQuery): AsyncGenerator<Cutout[]> {
  const { database, filters, productIds, range, signal } = query;
  if (productIds?.length === 0) return;
  const among = productIds
    ? [{ column: 'matched_product_id', op: 'in', value: productIds } as const]
    : rangeFilters('id', range);
  const merchantsAtOnce = productIds === undefined ? Infinity : MERCHANTS_BESIDE_IDS;
  for (const rows of cutoutReadings(filters, merchantsAtOnce)) {
    yield* database.pages({ ...rows, filters: [...rows.filters, ...among], schema: CUTOUT, signal });
  }
}

/** The rows that the filters mean, in several readings that share none. */
export function cutoutReadings(filters: CutoutFilters, merchantsAtOnce = Infinity): KeyedRows[] {
  return embeddingFilters(filters.has_embedding).flatMap((embedded) =>
    merchantFilters(filters, merchantsAtOnce).map((merchants) => ({
      table: 'cutout_images',
      columns: 'id,image_url,predicted_upc,matched_product_id,has_embedding',
      key: 'id',
      filters: [...embedded, ...upcFilters(filters), ...merchants],
    })),
  );
}

/** Merchants in one query that also lists product ids: only one list of a query may be of any length. */
const MERCHANTS_BESIDE_IDS = 40;

/** One list of filters a reading. A row whose `has_embedding` is null has none, as one where it is false. */
function embeddingFilters(hasEmbedding: boolean | undefined): Filter[][] {
  const column = 'has_embedding';
  if (hasEmbedding === undefined) return [[]];
  if (hasEmbedding) return [[{ column, op: 'eq', value: true }]];
  return [[{ column, op: 'eq', value: false }], [{ column, op: 'is_null' }]];
}

/** Comparing with '' leaves null out too: null differs from nothing. */
function upcFilters(filters: CutoutFilters): Filter[] {
  return filters.cutout_filter_has_upc ? [{ column: 'predicted_upc', op: 'neq', value: '' }] : [];
}

/** One list of filters a reading, of so many merchants. Names win where both are given; an empty list gives nothing. */
function merchantFilters(filters: CutoutFilters, most: number): Filter[][] {
  const { cutout_merchant_names: names, cutout_merchant_ids: ids } = filters;
  const column = names.length > 0 ? 'merchant' : 'merchant_id';
  const value = [...new Set<string | number>(names.length > 0 ? names : ids)];
  const readings: Filter[][] = [];
  for (let i = 0; i < value.length; i += most)
    readings.push([{ column, op: 'in', value: value.slice(i, i + most) }]);
  return readings.length > 0 ? readings : [[]];
}

export interface CutoutRefOptions {
  collection: string;
  /** The cutout was asked for as the picture of its product: the payload says of which. */
  asMatch: boolean;
}

export function cutoutRef(cutout: Cutout, options: CutoutRefOptions): ImageRef {
  const url = cutout.image_url ?? '';
  return {
    id: cutout.id,
    pointId: pointIdOf(cutout.id),
    collection: options.collection,
    type: 'cutout',
    url,
    storage: storageOf(url),
    marked: cutout.has_embedding === true,
    metadata: {
      source: 'cutout',
      cutout_id: cutout.id,
      domain: 'real',
      predicted_upc: cutout.predicted_upc ?? null,
      ...(options.asMatch && { product_id: cutout.matched_product_id ?? null, is_positive_pair: true }),
    },
  };
}
