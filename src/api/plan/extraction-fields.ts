import type { EmbeddingInput } from '../../embedding/input.ts';
import type { CombinedRequest, MatchingRequest } from '../requests/extraction.ts';
import type { ChosenModel } from './choose-model.ts';
import { to, type FieldMap, type PathOf } from './field-map.ts';

export type ExtractionPath = PathOf<Omit<EmbeddingInput, 'unknownKeys'>>;

/** Says into how many jobs the request goes, and stands in none of them. */
type Dividing = Pick<CombinedRequest, 'shards' | 'images_per_shard'>;

/** A request with everything that had to be looked up: its model is found, its collections have names. */
type Resolved<R> = Omit<R, 'model' | keyof Dividing> & { model: ChosenModel };
export type ResolvedMatching = Resolved<MatchingRequest>;
export type ResolvedCombined = Resolved<CombinedRequest> & { collection_name: string };
export type ResolvedExtraction = ResolvedMatching | ResolvedCombined;

type Common = Omit<ResolvedCombined, 'collection_name' | 'purpose'> & {
  purpose: ResolvedExtraction['purpose'];
};

const COMMON: FieldMap<Common, ExtractionPath> = {
  purpose: to('purpose', 'collection_metadata.collection_type'),
  model: ({ id, model_type, embedding_dim, checkpoint_url }) => ({
    model_type,
    embedding_dim,
    checkpoint_url,
    'collection_metadata.embedding_model_id': id,
  }),
  source: to('source_config.type'),
  product_source: to('source_config.filters.product_source', 'collection_metadata.source_type'),
  product_ids: to('source_config.filters.product_ids'),
  product_dataset_id: to('source_config.filters.product_dataset_id', 'collection_metadata.source_dataset_id'),
  product_filter: to('source_config.filters.product_filter'),
  image_types: to('source_config.filters.image_types', 'collection_metadata.image_types'),
  frame_selection: to('source_config.frame_selection', 'collection_metadata.frame_selection'),
  max_frames: to('source_config.max_frames'),
  frame_interval: to('source_config.frame_interval'),
  include_matched_cutouts: to('source_config.filters.include_matched_cutouts'),
  cutout_has_embedding: to('source_config.filters.has_embedding'),
  cutout_filter_has_upc: to('source_config.filters.cutout_filter_has_upc'),
  cutout_merchant_names: to('source_config.filters.cutout_merchant_names'),
  cutout_merchant_ids: to('source_config.filters.cutout_merchant_ids'),
  collection_mode: (mode) =>
    mode === 'append'
      ? { 'source_config.append_only_new': true }
      : { 'source_config.append_only_new': false, 'rebuild.replace': mode === 'replace' },
  keep_replaced: to('rebuild.keep_replaced'),
  max_failed_share: to('rebuild.max_failed_share'),
  append_trust_points: to('source_config.append_trust_points'),
  allow_mixed_models: to('allow_mixed_models'),
  batch_size: to('batch_size'),
};

/** Where each field of a matching request goes in the job's input. */
export const MATCHING_FIELDS: FieldMap<ResolvedMatching, ExtractionPath> = {
  ...COMMON,
  product_collection: to(
    'collection_name',
    'source_config.product_collection',
    'collection_metadata.product_collection',
  ),
  cutout_collection: to('source_config.cutout_collection', 'collection_metadata.cutout_collection'),
};

/** Where each field of a training, evaluation or production request goes. */
export const COMBINED_FIELDS: FieldMap<ResolvedCombined, ExtractionPath> = {
  ...COMMON,
  collection_name: to(
    'collection_name',
    'source_config.product_collection',
    'source_config.cutout_collection',
  ),
};
