import { HandlerError, InputError } from '../base/errors.ts';
import { SILENT_LOG, type Log } from '../base/log.ts';
import { mapConcurrent, prefetch, type Source } from '../flow/streams.ts';
import type { Database } from '../supabase/database.ts';
import type { VectorStore } from '../qdrant/store.ts';
import { onlyNew, type AppendOptions } from './append.ts';
import { cutoutPages, cutoutRef } from './cutouts.ts';
import type { ImageRef } from './image-ref.ts';
import { targetCollection, type EmbeddingInput, type SourceConfig } from './input.ts';
import { legacyImages } from './legacy-images.ts';
import { imagesOfProduct, readImageRows, type ImageRows } from './product-images.ts';
import { productPages, type Product } from './products.ts';
import { rangesOf } from './shard.ts';
import { createListingTally, type ListingTally } from './listing-tally.ts';
import { onlyFailed } from './only-failed.ts';
import { withoutDone, type ResumeOptions } from './resume.ts';

export interface ListOptions {
  input: EmbeddingInput;
  /** Needed where the input has a `source_config`. */
  database?: Database | undefined;
  /** Needed for `append_only_new`, with the model's fingerprint. */
  store?: VectorStore | undefined;
  model?: string | undefined;
  /** Told what the operators look for; leave it out of a second listing of one job. */
  log?: Log;
  /** Filled while listing. */
  tally?: ListingTally;
  /** See `AppendOptions`. */
  unmarked?: AppendOptions['unmarked'];
  /** Where the job has run before: what it has done is left out. */
  resume?: Omit<ResumeOptions, 'signal'> | undefined;
  signal?: AbortSignal | undefined;
}

/** Products of a page. Where a page means further reading, few enough for their ids to fit one address. */
const PRODUCTS_A_PAGE = 1_000;
const PRODUCTS_A_PAGE_WITH_MORE = 150;
/** Pages whose further reading is under way while one is consumed. */
const PAGES_AHEAD = 2;

/**
 * The images that a job means, each once: products first, then cutouts; cutouts that were asked for as matches follow
 * their page of products. A stream: it holds a few pages of rows, whatever the size of the job, and reads the next
 * ones while it is consumed. Rows that are added meanwhile may or may not be in it; no other is missed or doubled.
 * @throws InputError where a filter, a dataset or a collection's name turns out wrong; StoreError where reading fails.
 */
export async function* listImages(options: ListOptions): AsyncGenerator<ImageRef> {
  const { input, store, model, tally = createListingTally(), signal } = options;
  let images = chosenImages(options, tally);
  if (input.retry_failed_of !== undefined) {
    const { database } = options;
    if (database === undefined) throw new HandlerError('internal', 'retry_failed_of needs the database');
    images = onlyFailed(images, { database, jobId: input.retry_failed_of, signal });
  }
  if (options.resume !== undefined) images = withoutDone(images, { ...options.resume, signal });
  if (input.source_config?.append_only_new) {
    if (store === undefined || model === undefined) {
      throw new HandlerError('internal', 'append_only_new needs the vector store and the model');
    }
    const trustPoints = input.source_config.append_trust_points;
    images = onlyNew(images, { store, model, tally, trustPoints, unmarked: options.unmarked, signal });
  }
  yield* images;
}

function chosenImages(options: ListOptions, tally: ListingTally): Source<ImageRef> {
  const { input, database, log = SILENT_LOG, signal } = options;
  const { source_config: config } = input;
  if (config === undefined) return legacyImages(input.images ?? [], input.collection_name, tally);
  if (database === undefined) {
    throw new InputError([
      { key: 'supabase_url', message: 'expected an address: source_config reads a database' },
    ]);
  }
  return fromDatabase({ input, config, database, tally, log, signal });
}

interface Listing {
  input: EmbeddingInput;
  config: SourceConfig;
  database: Database;
  tally: ListingTally;
  log: Log;
  signal: AbortSignal | undefined;
}

async function* fromDatabase(listing: Listing): AsyncGenerator<ImageRef> {
  const { config } = listing;
  const reads = rangesOf(config);
  const asMatches = config.type !== 'products' && !reads.cutouts;
  if (reads.products) yield* ofProducts(listing, asMatches);
  if (reads.cutouts) yield* ofCutouts(listing);
}

interface ProductPage {
  products: Product[];
  rows: ImageRows;
}

async function* ofProducts(listing: Listing, withMatches: boolean): AsyncGenerator<ImageRef> {
  const { input, config, database, tally, log, signal } = listing;
  const types = config.type === 'cutouts' ? [] : config.filters.image_types;
  const readsMore = withMatches || types.some((type) => type !== 'synthetic');
  const pageSize = readsMore ? PRODUCTS_A_PAGE_WITH_MORE : PRODUCTS_A_PAGE;
  const pages = mapConcurrent(
    productPages({
      database,
      filters: config.filters,
      range: config.shard?.products,
      pageSize,
      tally,
      log,
      signal,
    }),
    PAGES_AHEAD,
    async (products): Promise<ProductPage> => ({
      products,
      rows: await readImageRows({ database, products, types, signal }),
    }),
    { ordered: true, signal },
  );
  for await (const { products, rows } of pages) {
    let chosen = products;
    if (config.type !== 'cutouts') {
      const collection = targetCollection(input, 'product');
      chosen = [];
      for (const product of products) {
        const images = imagesOfProduct({
          product,
          rows: rows.get(product.id) ?? [],
          types,
          selection: config,
          collection,
        });
        if (images.length > 0) chosen.push(product);
        else tally.products_without_images += 1;
        yield* images;
      }
    }
    if (withMatches) yield* ofCutouts(listing, idsOf(chosen));
  }
}

function idsOf(products: readonly Product[]): string[] {
  return products.map((product) => product.id);
}

async function* ofCutouts(listing: Listing, productIds?: readonly string[]): AsyncGenerator<ImageRef> {
  const { input, config, database, signal } = listing;
  const collection = targetCollection(input, 'cutout');
  const asMatch = productIds !== undefined;
  const among = asMatch ? { productIds } : { range: config.shard?.cutouts };
  const pages = cutoutPages({ database, filters: config.filters, ...among, signal });
  for await (const cutouts of prefetch(pages, 1, signal)) {
    for (const cutout of cutouts) {
      yield cutoutRef(cutout, { collection, asMatch });
    }
  }
}
