import { v5 as uuidV5 } from 'uuid';

import { createCatalogue, SHELF_NAMESPACE, type ShelfProduct } from './catalogue.ts';
import { createRandom } from './random.ts';

/** Every fifth product was photographed often, the others twice. */
const OFTEN_EVERY = 5;
const CUTOUTS_OFTEN = 40;
const CUTOUTS_SELDOM = 2;

/** How a file is broken: not there, cut off, an HTML page, no bytes at all, something that is no picture. */
export type Defect = 'missing' | 'truncated' | 'page' | 'empty' | 'wrong_type';
export const DEFECTS: readonly Defect[] = ['missing', 'truncated', 'page', 'empty', 'wrong_type'];

export interface ShelfCutout {
  id: string;
  externalId: number;
  /** The truth: which product it shows; null for a broken file. No job reads this. */
  productId: string | null;
  /** Path of the file under the shelf's folder and under the image server's address. */
  file: string;
  defect: Defect | null;
  predictedUpc: string | null;
  merchant: string;
  merchantId: number;
  matchedProductId: string | null;
  /** What the random numbers of its picture are keyed by. */
  key: string;
}

/** A picture of a product that is no frame of the turntable: a row of `product_images`. */
export interface ShelfImage {
  id: string;
  productId: string;
  type: 'real' | 'augmented';
  frameIndex: number | null;
  file: string;
  /** Given as a path in the storage bucket `frames`, without an address. */
  inStorage: boolean;
  key: string;
}

interface ShelfDataset {
  id: string;
  name: string;
  productIds: readonly string[];
}

/** A whole sample shelf as plain data: the seed alone determines it. */
export interface Shelf {
  seed: number;
  /** 60 products, 25 of them in five families that differ in print alone. */
  products: readonly ShelfProduct[];
  /** 576 cutouts that can be read, then one for each way of being broken. */
  cutouts: readonly ShelfCutout[];
  images: readonly ShelfImage[];
  /** The first has ten products, the second all that are in families. */
  datasets: readonly ShelfDataset[];
  /** Id of the row of `embedding_models`. */
  modelId: string;
  /** Products by their place on the shelf, left to right; the ends meet. */
  planogram: readonly number[];
}

const MERCHANTS = [
  ['Corner Market', 11],
  ['Green Basket', 12],
  ['Station Store', 13],
  ['Harbour Foods', 14],
] as const;
const FIRST_EXTERNAL_ID = 100_001;
/** Of a product photographed often, so many cutouts are already matched. */
const MATCHED_OFTEN = 12;
const DATASET_SIZE = 10;

export function createShelf({ seed }: { seed: number }): Shelf {
  const products = createCatalogue(seed);
  const random = createRandom(seed, 'shelf');
  const id = (name: string) => uuidV5(`${String(seed)}/${name}`, SHELF_NAMESPACE);
  const ten = random.shuffle(products).slice(0, DATASET_SIZE);
  return {
    seed,
    products,
    cutouts: createCutouts(seed, products),
    images: createImages(seed, products),
    datasets: [
      { id: id('dataset/ten'), name: 'Ten of the shelf', productIds: ten.map((p) => p.id) },
      {
        id: id('dataset/families'),
        name: 'Look-alikes',
        productIds: products.filter((p) => p.family !== null).map((p) => p.id),
      },
    ],
    modelId: id('model'),
    planogram: createPlanogram(products),
  };
}

/** Categories stand together, and families within them: so neighbours often look alike. */
function createPlanogram(products: readonly ShelfProduct[]): number[] {
  return [...products]
    .sort((a, b) => (a.category < b.category ? -1 : a.category > b.category ? 1 : a.index - b.index))
    .map((p) => p.index);
}

function createCutouts(seed: number, products: readonly ShelfProduct[]): ShelfCutout[] {
  const random = createRandom(seed, 'cutouts');
  const cutouts: ShelfCutout[] = [];
  const add = (product: ShelfProduct | null, defect: Defect | null, matched: boolean) => {
    const n = cutouts.length;
    const key = `${String(seed)}/cutout/${String(n)}`;
    const id = uuidV5(key, SHELF_NAMESPACE);
    const [merchant, merchantId] = random.pick(MERCHANTS);
    const read = random.chance(0.9) ? product : random.pick(products);
    cutouts.push({
      id,
      externalId: FIRST_EXTERNAL_ID + n,
      productId: product?.id ?? null,
      file: `cutouts/${id}.${defect === 'page' ? 'html' : 'jpg'}`,
      defect,
      predictedUpc: random.chance(0.6) ? (read?.barcode ?? null) : null,
      merchant,
      merchantId,
      matchedProductId: matched ? (product?.id ?? null) : null,
      key,
    });
  };
  for (const product of products) {
    const often = product.index % OFTEN_EVERY === 0;
    const matched = often ? MATCHED_OFTEN : product.index % 7 === 1 ? 1 : 0;
    for (let i = 0; i < (often ? CUTOUTS_OFTEN : CUTOUTS_SELDOM); i++) add(product, null, i < matched);
  }
  for (const defect of DEFECTS) add(null, defect, false);
  return cutouts;
}

/** Ten products have three real pictures, eight have four augmented ones; some of both without a frame index. */
function createImages(seed: number, products: readonly ShelfProduct[]): ShelfImage[] {
  const images: ShelfImage[] = [];
  const add = (product: ShelfProduct, type: ShelfImage['type'], n: number, counted: boolean) => {
    const key = `${String(seed)}/image/${type}/${String(product.index)}/${String(n)}`;
    images.push({
      id: uuidV5(key, SHELF_NAMESPACE),
      productId: product.id,
      type,
      frameIndex: counted ? n : null,
      file: `${type}/${product.id}/${String(n)}.jpg`,
      inStorage: n === 1,
      key,
    });
  };
  for (const product of products) {
    if (product.index % 6 === 2)
      for (let n = 0; n < 3; n++) add(product, 'real', n, product.index % 12 === 2);
    if (product.index % 8 === 3) for (let n = 0; n < 4; n++) add(product, 'augmented', n, n < 2);
  }
  return images;
}
