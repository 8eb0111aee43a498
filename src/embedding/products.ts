import { z } from 'zod';

import { InputError, StoreError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { prefetch } from '../flow/streams.ts';
import type { Database, Filter } from '../supabase/database.ts';
import type { SourceConfig } from './input.ts';
import { addUnknown, type ListingTally } from './listing-tally.ts';

const PRODUCT = z.object({
  id: z.string(),
  barcode: z.string().nullish(),
  brand_name: z.string().nullish(),
  product_name: z.string().nullish(),
  frames_path: z.string().nullish(),
  frame_count: z.number().nullish(),
});
export type Product = z.infer<typeof PRODUCT>;

const COLUMNS = 'id,barcode,brand_name,product_name,frames_path,frame_count';
/** The foreign key's column tells which relation is meant, should a database have several between the two tables. */
const CUTOUTS = 'cutout_images!matched_product_id';
const WITH_FRAMES: Filter = { column: 'frame_count', op: 'gt', value: 0 };

type ProductFilters = Pick<
  SourceConfig['filters'],
  'product_source' | 'product_ids' | 'product_dataset_id' | 'product_filter'
>;

export interface ProductQuery {
  database: Database;
  filters: ProductFilters;
  /** Products of one page, at most. */
  pageSize: number;
  tally: ListingTally;
  log: Log;
  signal?: AbortSignal | undefined;
}

/**
 * The products that a job's filters mean, in pages, every one once. `all`, `matched`, `new` and `filter` are products
 * with frames; `selected` and `dataset` are those ids, whatever they hold. Ids that are no products are counted and
 * warned about.
 * @throws InputError where `filter` names a column or a value that the database does not take, or the dataset is none.
 */
export function productPages(query: ProductQuery): AsyncGenerator<Product[]> {
  const { filters } = query;
  switch (filters.product_source) {
    case 'all':
      return read(query, [WITH_FRAMES]);
    case 'matched':
      return read(query, [WITH_FRAMES], `${COLUMNS},${CUTOUTS}!inner()`);
    case 'new':
      return read(
        query,
        [WITH_FRAMES, { column: 'cutout_images', op: 'is_null' }],
        `${COLUMNS},${CUTOUTS}()`,
      );
    case 'selected':
      return selectedPages(query, filters.product_ids);
    case 'dataset':
      return datasetPages(query, filters.product_dataset_id);
    case 'filter':
      return filteredPages(query, filters.product_filter);
  }
}

function read(query: ProductQuery, filters: readonly Filter[], columns = COLUMNS): AsyncGenerator<Product[]> {
  const { database, pageSize, signal } = query;
  return database.pages({
    table: 'products',
    columns,
    schema: PRODUCT,
    filters,
    pageSize,
    signal,
  });
}

async function* selectedPages(query: ProductQuery, ids: readonly string[]): AsyncGenerator<Product[]> {
  const unknown = new Set(ids.map((id) => id.toLowerCase()));
  query.log.info(`Filter: Specific ${unknown.size} products`);
  yield* byId(query, [...unknown], unknown);
  addUnknown(query.tally, unknown);
  warnOfUnknown(query, 'some of the selected products do not exist');
}

async function* datasetPages(query: ProductQuery, datasetId: string | undefined): AsyncGenerator<Product[]> {
  const { database, signal, log, pageSize, tally } = query;
  const key = 'source_config.filters.product_dataset_id';
  if (datasetId === undefined) throw new InputError([{ key, message: 'expected the id of a dataset' }]);
  log.info(`Filter: Products from dataset ${datasetId}`);
  const dataset = await database.find({
    table: 'datasets',
    columns: 'id',
    schema: z.object({ id: z.string() }),
    filters: [{ column: 'id', op: 'eq', value: datasetId }],
    signal,
  });
  if (dataset === undefined) throw new InputError([{ key, message: `there is no dataset ${datasetId}` }]);

  const idPages = database.pages({
    table: 'dataset_products',
    columns: 'product_id',
    key: 'product_id',
    schema: z.object({ product_id: z.string() }),
    filters: [{ column: 'dataset_id', op: 'eq', value: datasetId }],
    pageSize,
    signal,
  });
  let found = 0;
  for await (const rows of prefetch(idPages, 1, signal)) {
    const unknown = new Set(rows.map((row) => row.product_id));
    found += rows.length;
    yield* byId(query, [...unknown], unknown);
    addUnknown(tally, unknown);
  }
  log.info(`Found ${found} products in dataset`);
  warnOfUnknown(query, 'the dataset lists products that do not exist');
}

/** Takes what it finds out of `unknown`. */
async function* byId(
  query: ProductQuery,
  ids: readonly string[],
  unknown: Set<string>,
): AsyncGenerator<Product[]> {
  if (ids.length === 0) return;
  for await (const page of read(query, [{ column: 'id', op: 'in', value: ids }])) {
    for (const product of page) unknown.delete(product.id);
    yield page;
  }
}

/** Names the first of them. */
function warnOfUnknown({ log, tally }: ProductQuery, message: string): void {
  const { unknown_products: count, unknown_product_ids: ids } = tally;
  if (count > 0)
    log.warn(`${message}: ${ids.join(', ')}${count > ids.length ? `, and ${count - ids.length} more` : ''}`);
}

async function* filteredPages(query: ProductQuery, filters: readonly Filter[]): AsyncGenerator<Product[]> {
  try {
    yield* read(query, [WITH_FRAMES, ...filters]);
  } catch (error) {
    throw asInputError(error, filters) ?? error;
  }
}

/** A column that is not there, or a value that its type does not take (Postgres' class 22), is the input's fault. */
function asInputError(error: unknown, filters: readonly Filter[]): InputError | undefined {
  if (!(error instanceof StoreError)) return undefined;
  const missing = error.code === 'supabase_missing_column';
  if (!missing && error.storeCode?.startsWith('22') !== true) return undefined;
  const named = filters.filter((filter) => error.message.includes(filter.column));
  const suspects = named.length > 0 ? named : missing ? [] : filters;
  if (suspects.length === 0) return undefined;
  const message = missing ? 'products has no such column' : 'the column does not take such a value';
  const columns = [...new Set(suspects.map((filter) => filter.column))];
  return new InputError(
    columns.map((column) => ({ key: `source_config.filters.product_filter.${column}`, message })),
    { cause: error },
  );
}
