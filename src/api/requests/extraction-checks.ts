import type { InputIssue } from '../../base/errors.ts';
import { productIssues } from '../../embedding/input.ts';
import type { ExtractionRequest } from './extraction-schemas.ts';
import { modelIssues } from './model-choice.ts';

/** What does not go together: a choice without what it needs, and fields that nobody would read. */
export function extractionIssues(request: ExtractionRequest): InputIssue[] {
  return [
    ...modelIssues(request.model),
    ...productsIssues(request),
    ...unreadIssues(request),
    ...shardsIssues(request),
  ];
}

function productsIssues(request: ExtractionRequest): InputIssue[] {
  return readsProducts(request) ? productIssues(request) : [];
}

function shardsIssues({ shards, images_per_shard: images }: ExtractionRequest): InputIssue[] {
  if (shards === undefined || images === undefined) return [];
  return [{ key: 'images_per_shard', message: 'says again what shards says; expected one of the two' }];
}

/** Products are of no matter where only cutouts are asked for, and not by their products. */
function readsProducts({ source, include_matched_cutouts: asMatches }: ExtractionRequest): boolean {
  return source !== 'cutouts' || asMatches;
}

/** A filter that is given and not read would be a filter that the sender believes in. */
function unreadIssues(request: ExtractionRequest): InputIssue[] {
  const issues: InputIssue[] = [];
  const unread = (key: string, why: string): void => {
    issues.push({ key, message: `is not read, as ${why}; leave it out` });
  };
  for (const { key, source } of SELECTORS) {
    if (isEmpty(request[key])) continue;
    if (!readsProducts(request)) unread(key, 'source is cutouts, and include_matched_cutouts is not true');
    else if (request.product_source !== source) unread(key, `product_source is ${request.product_source}`);
  }
  if (request.source === 'products') {
    for (const key of cutoutFilters(request)) unread(key, 'source is products');
  }
  const { collection_mode: mode } = request;
  if (mode !== 'replace' && request.keep_replaced !== undefined)
    unread('keep_replaced', `collection_mode is ${mode}`);
  if (mode === 'append' && request.max_failed_share !== undefined)
    unread('max_failed_share', 'collection_mode is append');
  if (request.purpose !== 'matching') return issues;
  const idle = request.source === 'products' ? 'cutout_collection' : 'product_collection';
  if (request.source !== 'both' && request[idle] !== undefined) unread(idle, `source is ${request.source}`);
  return issues;
}

const SELECTORS = [
  { key: 'product_ids', source: 'selected' },
  { key: 'product_dataset_id', source: 'dataset' },
  { key: 'product_filter', source: 'filter' },
] as const;

/** Those that are set. */
function cutoutFilters(request: ExtractionRequest): string[] {
  const set = {
    cutout_has_embedding: request.cutout_has_embedding !== undefined,
    cutout_filter_has_upc: request.cutout_filter_has_upc,
    cutout_merchant_names: request.cutout_merchant_names.length > 0,
    cutout_merchant_ids: request.cutout_merchant_ids.length > 0,
  };
  return Object.entries(set).flatMap(([key, is]) => (is ? [key] : []));
}

/** As if it were not there. */
function isEmpty(value: string | object | undefined): boolean {
  return value === undefined || (typeof value === 'object' && Object.keys(value).length === 0);
}
