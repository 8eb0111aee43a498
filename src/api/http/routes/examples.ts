import type { Purpose } from '../../requests/extraction.ts';
import type { Examples } from '../route.ts';

/** Of the local cloud's sample shelf, so that they can be tried there. */
const PRODUCT_IDS = ['a1fec121-6e48-56fd-af95-711aee8974d9', '46eca775-c1ba-5de5-9fac-7e9ea4c44943'];
const DATASET_ID = '8241d006-abe6-5c87-af5e-762b1f15d5f1';

/** What is asked for most, to begin with. */
export const EXTRACTION_EXAMPLES: Readonly<Record<Purpose, Examples>> = {
  matching: {
    selected: {
      summary: 'Selected products, and the cutouts without an embedding',
      value: {
        product_source: 'selected',
        product_ids: PRODUCT_IDS,
        cutout_has_embedding: false,
        collection_mode: 'append',
      },
    },
    dataset: {
      summary: 'The products of a dataset, into a collection of its own',
      value: {
        source: 'products',
        product_source: 'dataset',
        product_dataset_id: DATASET_ID,
        product_collection: 'ten_products_demo',
      },
    },
    filter: {
      summary: 'Products by their columns',
      value: {
        product_source: 'filter',
        product_filter: { category: ['Drinks', 'Snacks'], frame_count_gte: 12 },
        frame_selection: 'key_frames',
        max_frames: 10,
      },
    },
  },
  training: {
    matched: {
      summary: 'Products with their matched cutouts',
      value: { image_types: ['synthetic', 'real'], frame_selection: 'key_frames' },
    },
  },
  evaluation: { dataset: { summary: 'A dataset', value: { product_dataset_id: DATASET_ID } } },
  production: {
    all: {
      summary: 'All products, all types of images',
      value: { image_types: ['synthetic', 'real', 'augmented'] },
    },
    checkpoint: {
      summary: 'With a model that was trained',
      value: {
        model: {
          model_type: 'dinov2-base',
          embedding_dim: 768,
          checkpoint_url: 'models/shelf-v2/model.onnx',
          name: 'shelf v2',
        },
      },
    },
  },
};

export const CLASSIFICATION_EXAMPLES: Examples = {
  short: {
    summary: 'Ten epochs, everything else by default',
    value: {
      name: 'Drinks, first try',
      dataset_id: '5caf2288-a7d3-58a2-9c4a-9ce12dc6b856',
      config: { model_name: 'vit_base_patch16_224', epochs: 10 },
    },
  },
};
