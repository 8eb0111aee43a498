import { z } from 'zod';

import type { Database, Filter } from '../supabase/database.ts';
import { storageOf, type ImageRef } from './image-ref.ts';
import { pointIdOf } from './point-id.ts';

const CUTOUT = z.object({
  id: z.string(),
  image_url: z.string().nullish(),
  predicted_upc: z.string().nullish(),
  matched_product_id: z.string().nullish(),
});
export type Cutout = z.infer<typeof CUTOUT>;

export interface CutoutFilters {
  has_embedding?: boolean | undefined;
  cutout_filter_has_upc?: boolean | undefined;
  cutout_merchant_names?: readonly string[] | undefined;
  cutout_merchant_ids?: readonly number[] | undefined;
}

export interface CutoutQuery {
  database: Database;
  filters: CutoutFilters;
  /** Only cutouts that are matched to one of these. */
  productIds?: readonly string[];
  signal?: AbortSignal | undefined;
}

/** The cutouts that a job's filters mean, in pages, every one once. */
export async function* cutoutPages(query: CutoutQuery): AsyncGenerator<Cutout[]> {
  const { database, filters, productIds, signal } = query;
  if (productIds?.length === 0) return;
  for (const embedded of embeddedFilters(filters.has_embedding)) {
    yield* database.pages({
      table: 'cutout_images',
      columns: 'id,image_url,predicted_upc,matched_product_id',
      schema: CUTOUT,
      filters: [
        ...embedded,
        ...upcFilters(filters),
        ...merchantFilters(filters),
        ...(productIds ? [{ column: 'matched_product_id', op: 'in' as const, value: productIds }] : []),
      ],
      ...(signal && { signal }),
    });
  }
}

/** One list of filters a reading. A row whose `has_embedding` is null has none, as one where it is false. */
function embeddedFilters(hasEmbedding: boolean | undefined): Filter[][] {
  const column = 'has_embedding';
  if (hasEmbedding === undefined) return [[]];
  if (hasEmbedding) return [[{ column, op: 'eq', value: true }]];
  return [[{ column, op: 'eq', value: false }], [{ column, op: 'is_null' }]];
}

/** Comparing with '' leaves null out too: null differs from nothing. */
function upcFilters(filters: CutoutFilters): Filter[] {
  return filters.cutout_filter_has_upc === true ? [{ column: 'predicted_upc', op: 'neq', value: '' }] : [];
}

/** Names win where both are given; an empty list gives nothing. */
function merchantFilters(filters: CutoutFilters): Filter[] {
  const { cutout_merchant_names: names = [], cutout_merchant_ids: ids = [] } = filters;
  if (names.length > 0) return [{ column: 'merchant', op: 'in', value: names }];
  return ids.length > 0 ? [{ column: 'merchant_id', op: 'in', value: ids }] : [];
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
    metadata: {
      source: 'cutout',
      cutout_id: cutout.id,
      domain: 'real',
      predicted_upc: cutout.predicted_upc ?? null,
      ...(options.asMatch && { product_id: cutout.matched_product_id ?? null, is_positive_pair: true }),
    },
  };
}
