import { z } from 'zod';

import {
  EMBEDDING_FIELDS,
  FILTERS,
  MAX_SHARDS,
  PRODUCT_CONDITIONS,
  REBUILD,
  SOURCE_CONFIG,
} from '../../embedding/input.ts';
import { oneOf, wholeNumber, yesOrNo } from '../../job/fields.ts';
import { MODEL_CHOICE } from './model-choice.ts';

const JOB = EMBEDDING_FIELDS.shape;
const SOURCE = SOURCE_CONFIG.shape;
const FILTER = FILTERS.shape;
export type Purpose = z.infer<typeof JOB.purpose> & string;

type ProductSource = z.infer<typeof FILTER.product_source>;
type Source = z.infer<typeof SOURCE.type>;

/** What a purpose asks for where the request does not say. */
interface Defaults {
  source: Source;
  product_source: ProductSource;
  include_matched_cutouts: boolean;
}

const name = JOB.collection_name.unwrap();
/** The job's own field, with another default. */
const productSource = FILTER.product_source.unwrap();
const source = SOURCE.type.unwrap();

function fieldsFor<const P extends Purpose>(purpose: P, defaults: Defaults) {
  return {
    purpose: z
      .literal(purpose, { error: `expected ${purpose}: each purpose has requests of its own` })
      .default(purpose)
      .describe('What the vectors are for.'),
    model: MODEL_CHOICE.prefault({ active: true }).describe('Which model.'),
    source: source
      .default(defaults.source)
      .describe('What to embed: pictures of products, cutouts, or both.'),
    product_source: productSource
      .default(defaults.product_source)
      .describe(
        'Which products: all with frames, those with or without a matched cutout, or those that another field names.',
      ),
    product_ids: FILTER.product_ids.describe('The products, for `selected`.'),
    product_dataset_id: FILTER.product_dataset_id.describe(
      'The dataset whose products are meant, for `dataset`.',
    ),
    product_filter: PRODUCT_CONDITIONS.prefault({}).describe(
      'For `filter`: column of products to value, or to a list of which any will do. A column may carry _gt, _gte, _lt, _lte, _is_null or _not_null.',
    ),
    image_types: FILTER.image_types.describe('Pictures of products to read; empty: synthetic.'),
    frame_selection: SOURCE.frame_selection.describe('Which frames of each product.'),
    max_frames: SOURCE.max_frames.describe('Frames of a product at most; not applied to `all`.'),
    frame_interval: SOURCE.frame_interval.describe('For `interval`: every so-many-th frame.'),
    include_matched_cutouts: yesOrNo()
      .default(defaults.include_matched_cutouts)
      .describe('True: cutouts only of the products meant, with the product in their payload.'),
    cutout_has_embedding: FILTER.has_embedding.describe(
      'Absent: all cutouts; false: only those without an embedding; true: only those with.',
    ),
    cutout_filter_has_upc: FILTER.cutout_filter_has_upc.describe('True: only cutouts with a predicted UPC.'),
    cutout_merchant_names: FILTER.cutout_merchant_names.describe(
      'Only cutouts of these merchants; empty: of all. Wins over cutout_merchant_ids.',
    ),
    cutout_merchant_ids: FILTER.cutout_merchant_ids.describe(
      'Only cutouts of these merchants; empty: of all.',
    ),
    collection_mode: oneOf(['create', 'append', 'replace'])
      .default('create')
      .describe(
        'create: a collection that is not there yet; append: what a collection that is there lacks; replace: built anew in the place of one that may be there, which serves until then.',
      ),
    keep_replaced: REBUILD.shape.keep_replaced
      .unwrap()
      .optional()
      .describe('True, with replace: what served before is kept, as {name}__kept_{id}. Default: false.'),
    max_failed_share: REBUILD.shape.max_failed_share
      .unwrap()
      .optional()
      .describe(
        'With create or replace: the most images that may have failed where the new collection is to serve, as a part of all, rounded up. Default: 0.01 with replace, 1 with create.',
      ),
    append_trust_points: SOURCE.append_trust_points.describe(
      'True, with append: what has a point is not fetched to see whether it has changed.',
    ),
    allow_mixed_models: JOB.allow_mixed_models.describe(
      "True: write also into a collection that holds another model's vectors.",
    ),
    batch_size: JOB.batch_size.describe('Images in one run of the model.'),
    shards: wholeNumber(1, MAX_SHARDS)
      .optional()
      .describe('Into how many jobs the run is divided, at most: each reads its part of the rows.'),
    images_per_shard: wholeNumber(1)
      .optional()
      .describe('In place of shards: about how many images each of the jobs is to have.'),
  };
}

/** Products and cutouts in collections of their own, so that a cutout is searched among products alone. */
export const MATCHING = z.object(
  {
    ...fieldsFor('matching', { source: 'both', product_source: 'all', include_matched_cutouts: false }),
    product_collection: name.optional().describe('Where products go. Default: products_{model}.'),
    cutout_collection: name.optional().describe('Where cutouts go. Default: cutouts_{model}.'),
  },
  { error: 'expected an object' },
);

/** One collection for products and cutouts. */
function combined<const P extends Exclude<Purpose, 'matching'>>(
  purpose: P,
  defaults: Defaults,
  fallback: string,
) {
  return z.object(
    {
      ...fieldsFor(purpose, defaults),
      collection_name: name.optional().describe(`Where everything goes. Default: ${fallback}.`),
    },
    { error: 'expected an object' },
  );
}

export const TRAINING = combined(
  'training',
  { source: 'both', product_source: 'matched', include_matched_cutouts: true },
  'training_{model}',
);
export const EVALUATION = combined(
  'evaluation',
  { source: 'products', product_source: 'dataset', include_matched_cutouts: false },
  'evaluation_{dataset}_{model}',
);
export const PRODUCTION = combined(
  'production',
  { source: 'products', product_source: 'all', include_matched_cutouts: false },
  'production_{model}',
);

export type MatchingRequest = z.infer<typeof MATCHING>;
export type TrainingRequest = z.infer<typeof TRAINING>;
export type EvaluationRequest = z.infer<typeof EVALUATION>;
export type ProductionRequest = z.infer<typeof PRODUCTION>;
/** Products and cutouts in one collection. */
export type CombinedRequest = TrainingRequest | EvaluationRequest | ProductionRequest;
export type ExtractionRequest = MatchingRequest | CombinedRequest;
