import type { InputIssue } from '../base/errors.ts';
import { pairIssue } from '../job/pairs.ts';
import { MAX_REBUILT_NAME } from '../qdrant/rebuild/names.ts';
import type { EmbeddingInput, SourceConfig } from './input-schema.ts';
import { rangesOf, shardIssues } from './shard.ts';

type Fields = Omit<EmbeddingInput, 'unknownKeys'>;

/** Faults between keys that are right by themselves; empty where there is none. */
export function crossCheck(input: Fields): InputIssue[] {
  const issues = [...pairIssues(input), ...rebuildIssues(input)];
  if (input.job_id === undefined) {
    if (!hasImages(input)) issues.push({ key: 'images', message: MISSING_IMAGES });
    return issues;
  }
  if (input.source_config !== undefined)
    return [...issues, ...sourceIssues(input.source_config, input.collection_name)];
  if (!hasImages(input)) return [...issues, { key: 'source_config', message: MISSING_SOURCE }];
  const homeless = input.images.findIndex(
    (image) => (image.collection ?? input.collection_name) === undefined,
  );
  if (homeless !== -1) {
    issues.push({
      key: `images[${String(homeless)}].collection`,
      message: 'is missing; expected a collection here or in collection_name',
    });
  }
  return issues;
}

/** What is filled anew has nothing to append to, and is complete or nothing. */
function rebuildIssues(input: Fields): InputIssue[] {
  if (input.rebuild === undefined) return [];
  const { source_config: source, images = [] } = input;
  const issues: InputIssue[] = [];
  const refuse = (key: string, message: string): void => {
    issues.push({ key, message });
  };
  if (input.job_id === undefined) refuse('job_id', 'is missing; rebuild needs a job that writes');
  if (input.retry_failed_of !== undefined)
    refuse('retry_failed_of', 'is given beside rebuild, which needs all images; rebuild.id goes on with one');
  if (source?.append_only_new === true)
    refuse('source_config.append_only_new', 'is true beside rebuild, which fills a new collection');
  if (source?.shard !== undefined && input.rebuild.switch)
    refuse(
      'rebuild.switch',
      'is true beside source_config.shard; expected false, as a part is not to replace the whole',
    );
  const named: [string, string | undefined][] = [
    ['collection_name', input.collection_name],
    ['source_config.product_collection', source?.product_collection],
    ['source_config.cutout_collection', source?.cutout_collection],
    ...images.map(({ collection }, i): [string, string | undefined] => [
      `images[${String(i)}].collection`,
      collection,
    ]),
  ];
  for (const [key, name = ''] of named) {
    if (name.length > MAX_REBUILT_NAME)
      refuse(key, `has ${name.length} characters; rebuild expects at most ${MAX_REBUILT_NAME}`);
  }
  return issues;
}

function hasImages(input: Fields): input is Fields & { images: readonly unknown[] } {
  return input.images !== undefined && input.images.length > 0;
}

const MISSING_IMAGES = 'is missing; expected a list of images, or job_id with source_config';
const MISSING_SOURCE = 'is missing; a job with job_id needs source_config, or a list of images in images';

const PAIRS = [
  ['supabase_url', 'supabase_service_key'],
  ['qdrant_url', 'qdrant_api_key'],
] as const;

function pairIssues(input: Fields): InputIssue[] {
  // A Qdrant may take no key; a Supabase always does.
  return PAIRS.flatMap((pair) => pairIssue(input, pair).filter(({ key }) => key !== 'qdrant_api_key'));
}

function sourceIssues(source: SourceConfig, fallback: string | undefined): InputIssue[] {
  const issues: InputIssue[] = [];
  const needs = (key: string, what: string): void => {
    issues.push(needed(`source_config.${key}`, what));
  };
  if (source.type !== 'cutouts' && (source.product_collection ?? fallback) === undefined) {
    needs('product_collection', 'a collection here or in collection_name');
  }
  if (source.type !== 'products' && (source.cutout_collection ?? fallback) === undefined) {
    needs('cutout_collection', 'a collection here or in collection_name');
  }
  const { filters, shard } = source;
  const reads = rangesOf(source);
  if (shard !== undefined) {
    for (const { key, message } of shardIssues(shard, reads))
      issues.push({ key: `source_config.shard.${key}`, message });
  }
  // Which products is of no matter where only cutouts are asked for, and not by their products.
  if (!reads.products) return issues;
  const missing = productIssues(filters).map(({ key, message }) => ({
    key: `source_config.filters.${key}`,
    message,
  }));
  return [...issues, ...missing];
}

interface ChosenProducts {
  product_source: string;
  product_ids: readonly string[];
  product_dataset_id?: string | undefined;
  /** As it is written, or parsed. */
  product_filter: object;
}

/** What a product source needs and was not given. */
export function productIssues(chosen: ChosenProducts): InputIssue[] {
  const { product_source: source } = chosen;
  if (source === 'selected' && chosen.product_ids.length === 0)
    return [needed('product_ids', 'at least one uuid, as product_source is selected')];
  if (source === 'dataset' && chosen.product_dataset_id === undefined)
    return [needed('product_dataset_id', 'a uuid, as product_source is dataset')];
  if (source === 'filter' && Object.keys(chosen.product_filter).length === 0) {
    const expected = 'at least one column, as product_source is filter (all products: all)';
    return [needed('product_filter', expected)];
  }
  return [];
}

function needed(key: string, what: string): InputIssue {
  return { key, message: `is missing; expected ${what}` };
}
