import { z } from 'zod';

import { InputError, StoreError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { prefetch } from '../flow/streams.ts';
import type { Database, Filter } from '../supabase/database.ts';
import type { SourceConfig } from './input.ts';
import { addUnknown, type ListingTally } from './listing-tally.ts';
import { rangeFilters } from './range-filters.ts';
import { isInRange, type KeyRange } from './shard.ts';

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
  /** Only ids of this range. */
  range?: KeyRange | undefined;
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
  const keys = productKeys(filters);
  if ('ids' in keys) return selectedPages(query, keys.ids);
  if (filters.product_source === 'dataset') return datasetPages(query, keys, datasetOf(filters));
  return filters.product_source === 'filter'
    ? filteredPages(query, keys, filters.product_filter)
    : read(query, keys);
}

/** Rows of a table that are paged by a key of theirs. */
export interface KeyedRows {
  table: string;
  /** With the key. */
  columns: string;
  key: string;
  filters: readonly Filter[];
}

/** The ids of the products that the filters mean: rows whose keys they are, or the ids themselves. */
export function productKeys(filters: ProductFilters): KeyedRows | { ids: readonly string[] } {
  const withFrames = (more: readonly Filter[] = [], columns = COLUMNS): KeyedRows => ({
    table: 'products',
    columns,
    key: 'id',
    filters: [WITH_FRAMES, ...more],
  });
  switch (filters.product_source) {
    case 'all':
      return withFrames();
    case 'matched':
      return withFrames([], `${COLUMNS},${CUTOUTS}!inner()`);
    case 'new':
      return withFrames([{ column: 'cutout_images', op: 'is_null' }], `${COLUMNS},${CUTOUTS}()`);
    case 'filter':
      return withFrames(filters.product_filter);
    case 'selected':
      return { ids: [...new Set(filters.product_ids.map((id) => id.toLowerCase()))] };
    case 'dataset':
      return {
        table: 'dataset_products',
        columns: 'product_id',
        key: 'product_id',
        filters: [{ column: 'dataset_id', op: 'eq', value: datasetOf(filters) }],
      };
  }
}

function datasetOf({ product_dataset_id: id }: ProductFilters): string {
  if (id !== undefined) return id;
  throw new InputError([{ key: DATASET_KEY, message: 'expected the id of a dataset' }]);
}

const DATASET_KEY = 'source_config.filters.product_dataset_id';

function read(query: ProductQuery, { filters, ...rows }: KeyedRows): AsyncGenerator<Product[]> {
  const { database, range, pageSize, signal } = query;
  const ofRange = [...filters, ...rangeFilters(rows.key, range)];
  return database.pages({ ...rows, filters: ofRange, schema: PRODUCT, pageSize, signal });
}

async function* selectedPages(query: ProductQuery, ids: readonly string[]): AsyncGenerator<Product[]> {
  const unknown = new Set(ids.filter((id) => isInRange(id, query.range)));
  query.log.info(`Filter: Specific ${unknown.size} products`);
  yield* byId(query, [...unknown], unknown);
  addUnknown(query.tally, unknown);
  warnOfUnknown(query, 'some of the selected products do not exist');
}

async function* datasetPages(
  query: ProductQuery,
  { filters, ...rows }: KeyedRows,
  datasetId: string,
): AsyncGenerator<Product[]> {
  const { database, range, signal, log, pageSize, tally } = query;
  log.info(`Filter: Products from dataset ${datasetId}`);
  const dataset = await database.find({
    table: 'datasets',
    columns: 'id',
    schema: z.object({ id: z.string() }),
    filters: [{ column: 'id', op: 'eq', value: datasetId }],
    signal,
  });
  if (dataset === undefined)
    throw new InputError([{ key: DATASET_KEY, message: `there is no dataset ${datasetId}` }]);

  const idPages = database.pages({
    ...rows,
    schema: z.object({ product_id: z.string() }),
    filters: [...filters, ...rangeFilters(rows.key, range)],
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
  const rows: KeyedRows = {
    table: 'products',
    columns: COLUMNS,
    key: 'id',
    filters: [{ column: 'id', op: 'in', value: ids }],
  };
  // They are of the range already: its bounds would take room from the ids.
  for await (const page of read({ ...query, range: undefined }, rows)) {
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

async function* filteredPages(
  query: ProductQuery,
  rows: KeyedRows,
  filters: readonly Filter[],
): AsyncGenerator<Product[]> {
  try {
    yield* read(query, rows);
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
