import { z } from 'zod';

import type { Database, Filter } from '../../supabase/database.ts';
import { firstPage } from '../runs/first-page.ts';

/** A row of `embedding_collections`. */
export const COLLECTION_ROW = z.object({
  name: z.string(),
  collection_type: z.string(),
  source_type: z.string().nullable(),
  embedding_model_id: z.string().nullable(),
  image_types: z.array(z.string()).nullable(),
  frame_selection: z.string().nullable(),
  product_collection: z.string().nullable(),
  cutout_collection: z.string().nullable(),
  vector_count: z.number().describe('When a job last counted.'),
  last_sync_at: z.string().nullable(),
});
export type CollectionRow = z.infer<typeof COLLECTION_ROW>;

export interface CollectionQuery {
  limit: number;
  /** Only this one. */
  name?: string;
  /** Only those whose name comes behind this one. */
  after?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** By name. */
export async function listCollections(
  database: Database,
  { limit, name, after, signal }: CollectionQuery,
): Promise<CollectionRow[]> {
  const filters: Filter[] = [];
  if (name !== undefined) filters.push({ column: 'name', op: 'eq', value: name });
  if (after !== undefined) filters.push({ column: 'name', op: 'gt', value: after });
  const pages = database.pages({
    table: 'embedding_collections',
    columns: Object.keys(COLLECTION_ROW.shape).join(','),
    schema: COLLECTION_ROW,
    filters,
    key: 'name',
    pageSize: limit,
    signal,
  });
  return firstPage(pages);
}
