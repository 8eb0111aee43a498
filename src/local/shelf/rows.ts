import { FRAME_COUNT } from './catalogue.ts';
import type { Shelf } from './shelf.ts';

/** Length of the demo model's vectors, as the row of `embedding_models` says it; a test holds it to the model. */
export const SHELF_EMBEDDING_DIM = 620;

export type SeedRow = Record<string, string | number | boolean | null>;

/** Rows by table, in an order in which every reference is there before it is needed. */
export interface SeedRows {
  products: SeedRow[];
  product_images: SeedRow[];
  datasets: SeedRow[];
  dataset_products: SeedRow[];
  embedding_models: SeedRow[];
  cutout_images: SeedRow[];
}

/** Every row of one table has the same columns, so that they go in with one insert. */
export function seedRows(shelf: Shelf, imagesUrl: string): SeedRows {
  const base = imagesUrl.replace(/\/+$/, '');
  return {
    products: shelf.products.map((p) => ({
      id: p.id,
      barcode: p.barcode,
      brand_name: p.brand,
      product_name: p.name,
      category: p.category,
      container_type: p.form.shape,
      frames_path: `${base}/frames/${p.id}`,
      frame_count: FRAME_COUNT,
      status: 'ready',
    })),
    product_images: shelf.images.map((image) => ({
      id: image.id,
      product_id: image.productId,
      image_path: image.file,
      image_url: image.inStorage ? null : `${base}/${image.file}`,
      image_type: image.type,
      source: image.type === 'real' ? 'matching' : 'augmentation',
      frame_index: image.frameIndex,
    })),
    datasets: shelf.datasets.map(({ id, name }) => ({ id, name })),
    dataset_products: shelf.datasets.flatMap((d) =>
      d.productIds.map((productId) => ({ dataset_id: d.id, product_id: productId })),
    ),
    embedding_models: [
      {
        id: shelf.modelId,
        name: 'Demo descriptor',
        model_type: 'demo',
        checkpoint_url: null,
        embedding_dim: SHELF_EMBEDDING_DIM,
        qdrant_vector_count: 0,
        product_collection: 'products_demo',
        cutout_collection: 'cutouts_demo',
        is_matching_active: true,
      },
    ],
    cutout_images: shelf.cutouts.map((c) => ({
      id: c.id,
      external_id: c.externalId,
      image_url: `${base}/${c.file}`,
      predicted_upc: c.predictedUpc,
      annotated_upc: null,
      merchant: c.merchant,
      merchant_id: c.merchantId,
      qdrant_point_id: null,
      embedding_model_id: null,
      has_embedding: false,
      matched_product_id: c.matchedProductId,
    })),
  };
}
