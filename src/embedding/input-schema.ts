import { z } from 'zod';

import {
  address,
  imageUrl,
  oneOf,
  secretKey,
  text,
  uuid,
  realNumber,
  uuids,
  wholeNumber,
  yesOrNo,
} from '../job/fields.ts';
import { MODEL_TYPES } from '../model/catalogue.ts';
import { checkpointUrl, collectionName } from './input-fields.ts';
import { PRODUCT_FILTER } from './input-filter.ts';
import { SHARD } from './shard.ts';

const OBJECT = { error: 'expected an object' };
/** What Qdrant takes as a vector's length. */
const MAX_DIM = 65_536;
const MAX_BATCH_SIZE = 1_024;
const IMAGE_TYPES = ['synthetic', 'real', 'augmented'] as const;
type ImageType = (typeof IMAGE_TYPES)[number];

export const FILTERS = z.object(
  {
    has_embedding: yesOrNo()
      .optional()
      .describe('Absent: all cutouts; false: only those without an embedding; true: only those with.'),
    product_source: oneOf(['all', 'matched', 'new', 'selected', 'dataset', 'filter'])
      .default('all')
      .describe(
        'Which products: all with frames, those with or without a matched cutout, or those that another key names.',
      ),
    product_ids: uuids().prefault([]).describe('The products, for `selected`.'),
    product_dataset_id: uuid().optional().describe('The dataset whose products are meant, for `dataset`.'),
    product_filter: PRODUCT_FILTER.prefault({}).describe(
      'For `filter`: column to value, or to a list of which any will do. A column may carry _gt, _gte, _lt, _lte, _is_null or _not_null.',
    ),
    cutout_filter_has_upc: yesOrNo().default(false).describe('True: only cutouts with a predicted UPC.'),
    cutout_merchant_names: z
      .array(text('a merchant name'), { error: 'expected a list of merchant names' })
      .default([])
      .describe('Only cutouts of these merchants; empty: of all. Wins over cutout_merchant_ids.'),
    cutout_merchant_ids: z
      .array(z.int({ error: 'expected a whole number, without quotes' }), {
        error: 'expected a list of whole numbers',
      })
      .default([])
      .describe('Only cutouts of these merchants; empty: of all.'),
    image_types: z
      .array(oneOf(IMAGE_TYPES), { error: `expected a list of ${IMAGE_TYPES.join(', ')}` })
      .transform((types): ImageType[] => (types.length === 0 ? ['synthetic'] : [...new Set(types)]))
      .prefault(['synthetic'])
      .describe('Product images to read, for training, evaluation and production; empty: synthetic.'),
    include_matched_cutouts: yesOrNo()
      .default(false)
      .describe('True: cutouts only of the products meant, with the product in their payload.'),
  },
  OBJECT,
);

export const SOURCE_CONFIG = z.object(
  {
    type: oneOf(['both', 'products', 'cutouts']).default('both').describe('What to embed.'),
    filters: FILTERS.prefault({}).describe('Which products and cutouts.'),
    append_only_new: yesOrNo()
      .default(false)
      .describe('True: only what the target collection lacks, or has of other bytes.'),
    append_trust_points: yesOrNo()
      .default(false)
      .describe('True, with append_only_new: what has a point is not fetched to see whether it has changed.'),
    frame_selection: oneOf(['first', 'key_frames', 'interval', 'all'])
      .default('first')
      .describe('Which frames of each product.'),
    max_frames: wholeNumber(1).default(10).describe('Frames of a product at most; not applied to `all`.'),
    frame_interval: wholeNumber(1).default(5).describe('For `interval`: every so-many-th frame.'),
    product_collection: collectionName().optional().describe('Where products go; else collection_name.'),
    cutout_collection: collectionName().optional().describe('Where cutouts go; else collection_name.'),
    shard: SHARD.optional().describe('Only this part of what is listed: the others are other jobs.'),
  },
  OBJECT,
);

const ID = 'expected a string that is not empty, or a whole number';
const IMAGE = z.looseObject(
  {
    id: z
      .union([z.string().min(1, { error: ID }), z.int({ error: ID })], { error: ID })
      .transform(String)
      .describe('The image id, from which its point id is made. May repeat.'),
    url: imageUrl().describe('Where the picture is: http(s), data:, or a storage path.'),
    type: oneOf(['product', 'cutout']).describe('What the picture shows.'),
    collection: collectionName().optional().describe('Where its point goes; else collection_name.'),
    metadata: z
      .record(z.string(), z.unknown(), OBJECT)
      .optional()
      .describe("The point's payload besides what the worker writes itself."),
  },
  OBJECT,
);

const COLLECTION_METADATA = z.object(
  {
    collection_type: text('a word').optional().describe('As in purpose.'),
    source_type: text('a word').optional().describe('As in product_source.'),
    source_dataset_id: uuid().optional().describe('The dataset that the products came from.'),
    embedding_model_id: uuid().optional().describe('Row of embedding_models; else the one of the job row.'),
    image_types: z
      .array(text('a word'), { error: 'expected a list of words' })
      .optional()
      .describe('As in image_types.'),
    product_collection: collectionName().optional().describe('The collection of products.'),
    cutout_collection: collectionName().optional().describe('The collection of cutouts.'),
    frame_selection: text('a word').optional().describe('As in frame_selection.'),
  },
  OBJECT,
);

export const REBUILD = z.object(
  {
    id: uuid()
      .optional()
      .describe('What is filled is named after it: a job with the same goes on filling it. Default: job_id.'),
    replace: yesOrNo()
      .default(true)
      .describe('False: only names that nothing serves yet; a job that finds one is refused.'),
    keep_replaced: yesOrNo()
      .default(false)
      .describe('True: what served before is kept, as {name}__kept_{id}; else it is removed.'),
    max_failed_share: realNumber(0, 1)
      .optional()
      .describe(
        'The most images that may have failed where it is to serve, as a part of all, rounded up. Default: 0.01; 1 where nothing served before.',
      ),
    switch: yesOrNo()
      .default(true)
      .describe('False: only fills; whoever has divided the work among several jobs switches.'),
  },
  OBJECT,
);

/** The job's keys, each by itself; what holds between them is input-checks.ts. */
export const EMBEDDING_FIELDS = z.object(
  {
    job_id: uuid().optional().describe('Row of embedding_jobs. Absent: stateless, writes nowhere.'),
    model_type: oneOf(MODEL_TYPES).default('dinov2-base').describe('The model.'),
    embedding_dim: wholeNumber(1, MAX_DIM)
      .optional()
      .describe('The expected vector length; another is an error.'),
    collection_name: collectionName().optional().describe('The collection of every image that names none.'),
    purpose: oneOf(['matching', 'training', 'evaluation', 'production'])
      .optional()
      .describe('What the vectors are for.'),
    checkpoint_url: checkpointUrl()
      .optional()
      .describe('An .onnx file of a fine-tuned model: http(s) or a storage path.'),
    batch_size: wholeNumber(1, MAX_BATCH_SIZE).optional().describe('Images in one run of the model.'),
    source_config: SOURCE_CONFIG.optional().describe('What to read from the database.'),
    images: z
      .array(IMAGE, { error: 'expected a list of images' })
      .optional()
      .describe('The images themselves; used where source_config is absent.'),
    retry_failed_of: uuid()
      .optional()
      .describe('A job whose failed images are meant, of all that this one names: embedding_job_failures.'),
    collection_metadata: COLLECTION_METADATA.optional().describe(
      'The row to write to embedding_collections.',
    ),
    rebuild: REBUILD.optional().describe(
      'The collections are filled anew under other names, checked, and then switched to. Absent: written as they are.',
    ),
    allow_mixed_models: yesOrNo()
      .default(false)
      .describe("True: write also into a collection that holds another model's vectors."),
    supabase_url: address().optional().describe('With supabase_service_key; else both from the environment.'),
    supabase_service_key: secretKey().optional().describe('Secret.'),
    qdrant_url: address().optional().describe('With qdrant_api_key; else both from the environment.'),
    qdrant_api_key: secretKey(/^[\x21-\x7e]*$/)
      .optional()
      .describe('Secret. An empty string: this server takes no key.'),
    hf_token: secretKey().optional().describe("Secret. The model hub's token; else the environment's."),
  },
  OBJECT,
);

type EmbeddingFields = z.infer<typeof EMBEDDING_FIELDS>;
export type SourceConfig = z.infer<typeof SOURCE_CONFIG>;
export type LegacyImage = z.infer<typeof IMAGE>;

/** A job's input, checked: defaults are filled in, ids are in lower case, nulls are gone. */
export interface EmbeddingInput extends EmbeddingFields {
  /** Paths of keys that mean nothing here; for one debug line. */
  unknownKeys: string[];
}
