import { SILENT_LOG } from '../../base/log.ts';
import type { Database } from '../../supabase/database.ts';
import { cutoutPages } from '../cutouts.ts';
import type { SourceConfig } from '../input.ts';
import { createListingTally } from '../listing-tally.ts';
import { imagesOfProduct, readImageRows } from '../product-images.ts';
import { productPages } from '../products.ts';
import { rangesOf } from '../shard.ts';

const SAMPLE = 150;

/**
 * How many images a product has on average, of those that the job reads, with its matched cutouts where they follow it:
 * an estimate, from the first products of the listing. 0 where there are none.
 * @throws InputError where the products' filter is wrong.
 */
export async function imagesPerProduct(
  config: SourceConfig,
  database: Database,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { filters, type } = config;
  const query = { database, filters, pageSize: SAMPLE, tally: createListingTally(), log: SILENT_LOG, signal };
  for await (const products of productPages(query)) {
    const types = type === 'cutouts' ? [] : filters.image_types;
    const rows = await readImageRows({ database, products, types, signal });
    let images = 0;
    const chosen = products.filter((product) => {
      if (type === 'cutouts') return true;
      const ofProduct = {
        product,
        rows: rows.get(product.id) ?? [],
        types,
        selection: config,
        collection: '',
      };
      const { length } = imagesOfProduct(ofProduct);
      images += length;
      return length > 0;
    });
    if (type !== 'products' && !rangesOf(config).cutouts) {
      const productIds = chosen.map(({ id }) => id);
      for await (const page of cutoutPages({ database, filters, productIds, signal })) images += page.length;
    }
    return images / products.length;
  }
  return 0;
}
