import { InputError } from '../../base/errors.ts';
import type { Division } from '../../embedding/divide/divide.ts';
import { parseEmbeddingInput } from '../../embedding/input.ts';
import type { CombinedRequest, ExtractionRequest, MatchingRequest, Purpose } from '../requests/extraction.ts';
import { chooseModel, type ChosenModel } from './choose-model.ts';
import { checkCollections, type CollectionMode } from './collections.ts';
import { COMBINED_FIELDS, MATCHING_FIELDS, type ResolvedExtraction } from './extraction-fields.ts';
import { fieldAt, placeFields } from './field-map.ts';
import type { Lookup } from './lookup.ts';
import { slugOf } from './slug.ts';

/** An extraction request whose every name is known: what to submit, and what its row says. */
export interface ExtractionPlan {
  purpose: Purpose;
  model: ChosenModel;
  mode: CollectionMode;
  /** Names that stand for what the job has filled when it is completed. */
  collections: string[];
  resolved: ResolvedExtraction;
  /** Absent: one job does it all. */
  division?: Division | undefined;
}

export interface PlanOptions {
  lookup: Lookup;
}

/**
 * Finds what the request means: its model, its dataset, its collections. Reads, and writes nothing.
 * @throws InputError by the name of the field: a model or dataset that there is not, a collection that does not fit
 * `collection_mode`.
 */
export async function planExtraction(
  request: ExtractionRequest,
  { lookup }: PlanOptions,
): Promise<ExtractionPlan> {
  const [model, dataset] = await Promise.all([
    chooseModel(request.model, lookup),
    datasetOf(request, lookup),
  ]);
  const { collection_mode: mode, purpose } = request;
  const division = divisionOf(request);
  const { shards: _, images_per_shard: __, ...asked } = request;
  const check = { lookup, mode, size: model.embedding_dim };
  if (asked.purpose === 'matching') {
    const names = matchingNames(asked, model);
    await checkCollections(names, check);
    const collections = [...new Set(Object.values(names))];
    return { purpose, model, mode, collections, resolved: { ...asked, model, ...names }, division };
  }
  const name = asked.collection_name ?? combinedName(asked, model, dataset);
  await checkCollections({ collection_name: name }, check);
  const resolved = { ...asked, model, collection_name: name };
  return { purpose, model, mode, collections: [name], resolved, division };
}

function divisionOf({ shards, images_per_shard }: ExtractionRequest): Division | undefined {
  if (shards !== undefined) return { shards };
  return images_per_shard === undefined ? undefined : { images_per_shard };
}

/** Only those that the job writes to. */
function matchingNames(
  request: Omit<MatchingRequest, 'shards' | 'images_per_shard'>,
  { slug }: ChosenModel,
): Partial<Record<'product_collection' | 'cutout_collection', string>> {
  const { source, product_collection: products, cutout_collection: cutouts } = request;
  return {
    ...(source !== 'cutouts' && { product_collection: products ?? `products_${slug}` }),
    ...(source !== 'products' && { cutout_collection: cutouts ?? `cutouts_${slug}` }),
  };
}

/** `training_{model}`, `evaluation_{dataset}_{model}`, `production_{model}`. */
function combinedName(
  { purpose, product_source: source }: Pick<CombinedRequest, 'purpose' | 'product_source'>,
  { slug }: ChosenModel,
  dataset: string | undefined,
): string {
  return purpose === 'evaluation' ? `evaluation_${dataset ?? source}_${slug}` : `${purpose}_${slug}`;
}

/** The dataset's name, as part of a collection's; undefined where products are not chosen by one. */
async function datasetOf(
  { product_dataset_id: id }: ExtractionRequest,
  lookup: Lookup,
): Promise<string | undefined> {
  if (id === undefined) return undefined;
  const row = await lookup.dataset(id);
  if (row !== undefined) return slugOf(row.name) ?? slugOf(id);
  const message = 'is no dataset; expected the id of a row of datasets';
  throw new InputError([{ key: 'product_dataset_id', message }]);
}

/** The stores' addresses and keys, as a job's input carries them. */
export interface InputCredentials {
  supabase_url?: string;
  supabase_service_key?: string;
  qdrant_url?: string;
  qdrant_api_key?: string;
  hf_token?: string;
}

/**
 * The input of the job that does what was planned. Without credentials, unless they are given: the endpoint's
 * environment has them.
 * @throws InputError where the handler would refuse it, by the name of the request's field.
 */
export function extractionInput(
  { resolved }: ExtractionPlan,
  jobId: string,
  credentials: InputCredentials = {},
): Record<string, unknown> {
  const placed =
    resolved.purpose === 'matching'
      ? placeFields(resolved, MATCHING_FIELDS)
      : placeFields(resolved, COMBINED_FIELDS);
  const input = { job_id: jobId, ...placed, ...credentials };
  try {
    parseEmbeddingInput(input);
    return input;
  } catch (error) {
    throw inTheRequestsWords(error, resolved);
  }
}

/** What is wrong with a job's input, by the name of the request's field; any other error as it is. */
export function inTheRequestsWords(error: unknown, resolved: ResolvedExtraction): unknown {
  if (!(error instanceof InputError)) return error;

  const fieldOf = (path: string): string | undefined =>
    resolved.purpose === 'matching'
      ? fieldAt(path, resolved, MATCHING_FIELDS)
      : fieldAt(path, resolved, COMBINED_FIELDS);
  return new InputError(error.issues.map(({ key, message }) => ({ key: fieldOf(key) ?? key, message })));
}
