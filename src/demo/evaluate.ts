import { mapConcurrent } from '../flow/streams.ts';
import type { VectorStore } from '../qdrant/store.ts';

/** What the shelf knows and no worker is told: which product is on a cutout. */
export interface CutoutTruth {
  id: string;
  productId: string;
  productName: string;
  /** The product has relatives that share its shape and palette. */
  inFamily: boolean;
}

interface Match {
  productId: string;
  productName: string;
  url: string;
  /** Cosine similarity, -1 to 1. */
  score: number;
  isRight: boolean;
}

export interface SearchedCutout extends CutoutTruth {
  url: string;
  /** Best first, each product once. */
  matches: readonly Match[];
  right: boolean;
}

export interface Recall {
  /** Share of cutouts whose nearest product is the right one, 0 to 1. */
  all: number;
  families: number;
}

const SEARCHES = 8;
const PRODUCTS_SHOWN = 3;
/** A product has many frames: enough points that three different products are among them. */
const POINTS_A_SEARCH = 48;

/** Searches each cutout's vector among the products' points. */
export async function searchCutouts(
  store: VectorStore,
  collections: { products: string; cutouts: string },
  truths: ReadonlyMap<string, CutoutTruth>,
): Promise<SearchedCutout[]> {
  const found: SearchedCutout[] = [];
  const pages = store.scroll(collections.cutouts, { keys: ['url', 'cutout_id'], withVectors: true });
  for await (const page of pages) {
    const searched = mapConcurrent(
      page,
      SEARCHES,
      async ({ payload, vector }) => {
        const truth = truths.get(String(payload.cutout_id));
        if (truth === undefined || vector === undefined) return null;
        const points = await store.search(collections.products, vector, {
          limit: POINTS_A_SEARCH,
          filter: { must: [{ key: 'source', match: 'product' }] },
          keys: ['product_id', 'product_name', 'url'],
        });
        const matches = nearestProducts(points, truth.productId);
        return {
          ...truth,
          url: String(payload.url),
          matches,
          right: matches[0]?.isRight === true,
        };
      },
      { ordered: true },
    );
    for await (const cutout of searched) if (cutout !== null) found.push(cutout);
  }
  return found;
}

export function recallOf(cutouts: readonly { inFamily: boolean; right: boolean }[]): Recall {
  const share = (list: readonly { right: boolean }[]): number =>
    list.length === 0 ? 0 : list.filter(({ right }) => right).length / list.length;
  return { all: share(cutouts), families: share(cutouts.filter(({ inFamily }) => inFamily)) };
}

function nearestProducts(
  points: readonly { score: number; payload: Record<string, unknown> }[],
  wanted: string,
): Match[] {
  const byProduct = new Map<string, Match>();
  for (const { score, payload } of points) {
    const productId = String(payload.product_id);
    // Points come best first: the first one of a product is its best.
    if (byProduct.has(productId)) continue;
    byProduct.set(productId, {
      productId,
      productName: typeof payload.product_name === 'string' ? payload.product_name : productId,
      url: String(payload.url),
      score,
      isRight: productId === wanted,
    });
  }
  return [...byProduct.values()].slice(0, PRODUCTS_SHOWN);
}
