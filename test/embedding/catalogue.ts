import type { Database } from '../../src/supabase/database.ts';
import type { EmbeddingInput } from '../../src/embedding/input.ts';
import { parseEmbeddingInput } from '../../src/embedding/input.ts';
import type { ImageRef } from '../../src/embedding/image-ref.ts';
import type { Log, LogFields } from '../../src/base/log.ts';
import { listImages, type ListOptions } from '../../src/embedding/which-images.ts';

/** Rows of every table above the 1,000 that one page holds, made by the same rules here and in SQL. */
export const PRODUCTS = 3_200;
export const CUTOUTS = 5_000;
export const DATASET_ROWS = 3_000;
export const PRODUCTS_WITH_IMAGES = 600;
export const DATASET_ID = 'd0000000-0000-4000-8000-000000000001';
export const GHOST_ID = 'eeeeeeee-0000-4000-8000-000000000001';
export const MERCHANTS = ['North Market', 'Corner, "Shop" (7)', 'null', '50% off & more\\'] as const;

interface Sql {
  sql(text: string): Promise<unknown>;
}

export const FRAMES = 12;
export const productId = (i: number): string => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
export const cutoutId = (j: number): string => `c0000000-0000-4000-8000-${String(j).padStart(12, '0')}`;
export const imageId = (i: number, type: 'real' | 'augmented', k: number): string =>
  `${type === 'real' ? 'a' : 'b'}000000${k}-0000-4000-8000-${String(i).padStart(12, '0')}`;

/** One product in ten has no frames. */
export const hasFrames = (i: number): boolean => i % 10 !== 9;
/** Every fourth cutout is matched, each to another product; the odd products below ten have eighty more each. */
export const matchOf = (j: number): number | undefined =>
  j % 4 === 0 ? j / 4 : j % 4 === 1 && j < 1_600 ? j % 10 : undefined;
export const isMatched = (i: number): boolean => i < CUTOUTS / 4;
export const upcOf = (j: number): string | null => (j % 3 === 0 ? null : j % 3 === 1 ? '' : `upc-${j}`);
export const embeddedOf = (j: number): boolean | null => (j % 5 === 0 ? true : j % 5 === 1 ? null : false);
export const merchantOf = (j: number): string => MERCHANTS[j % 4] ?? '';
export const merchantIdOf = (j: number): number => j % 7;

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

const SEED = `
  alter table cutout_images alter column has_embedding drop not null;
  alter table dataset_products drop constraint dataset_products_product_id_fkey;

  insert into products (id, barcode, brand_name, product_name, category, frames_path, frame_count)
  select ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'barcode-' || i, 'Brand ' || i % 7,
    'Product ' || i, 'category ' || i % 5,
    case when i % 2 = 0 then 'shelf/' || i else 'https://i.test/' || i || '/' end,
    case when i % 10 = 9 then 0 else ${FRAMES} end
  from generate_series(0, ${PRODUCTS - 1}) i;

  insert into cutout_images
    (id, external_id, image_url, predicted_upc, merchant, merchant_id, has_embedding, matched_product_id)
  select ('c0000000-0000-4000-8000-' || lpad(j::text, 12, '0'))::uuid, j, 'https://i.test/cutouts/' || j || '.jpg',
    case j % 3 when 0 then null when 1 then '' else 'upc-' || j end,
    (array['North Market', 'Corner, "Shop" (7)', 'null', '50% off & more\\'])[j % 4 + 1], j % 7,
    case j % 5 when 0 then true when 1 then null else false end,
    ('00000000-0000-4000-8000-' || lpad((case
      when j % 4 = 0 then j / 4 when j % 4 = 1 and j < 1600 then j % 10 end)::text, 12, '0'))::uuid
  from generate_series(0, ${CUTOUTS - 1}) j;

  insert into datasets (id, name) values ('${DATASET_ID}', 'three thousand');
  insert into dataset_products (dataset_id, product_id)
  select '${DATASET_ID}', ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid
  from generate_series(0, ${DATASET_ROWS - 2}) i;
  insert into dataset_products (dataset_id, product_id) values ('${DATASET_ID}', '${GHOST_ID}');

  -- Real: two without a frame, then frame 0, by an address. Augmented: frame 0 twice, then frame 1, by a path.
  insert into product_images (id, product_id, image_type, image_path, image_url, frame_index)
  select (case t when 'real' then 'a' else 'b' end || '000000' || k || '-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid,
    ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, t, 'shelf/' || i || '/' || t || k || '.png',
    case t when 'real' then 'https://i.test/' || i || '/real' || k || '.jpg' end,
    case t when 'real' then case k when 2 then 0 end else k / 2 end
  from generate_series(0, ${PRODUCTS_WITH_IMAGES - 1}) i, unnest(array['real', 'augmented']) t, generate_series(0, 2) k;
`;

export async function seedCatalogue(supabase: Sql): Promise<void> {
  await supabase.sql(SEED);
}

export interface Collected {
  refs: ImageRef[];
  ids: string[];
  messages: string[];
  fields: LogFields[];
}

/** A job's images, and what was logged meanwhile. */
export async function collect(options: Omit<ListOptions, 'log'>): Promise<Collected> {
  const messages: string[] = [];
  const fields: LogFields[] = [];
  const write = (message: string, more: LogFields = {}): void =>
    void (messages.push(message), fields.push(more));
  const log: Log = { debug: write, info: write, warn: write, error: write, child: () => log };
  const refs: ImageRef[] = [];
  for await (const ref of listImages({ ...options, log })) refs.push(ref);
  return { refs, ids: refs.map((ref) => ref.id), messages, fields };
}

/** A job for products and cutouts in collections of their own, as the API would send it. */
export function jobOf(
  filters: Record<string, unknown>,
  config: Record<string, unknown> = {},
): EmbeddingInput {
  return parseEmbeddingInput({
    job_id: '839c284e-5ace-5b18-a087-25ceb89add55',
    collection_name: 'both',
    source_config: { product_collection: 'products', cutout_collection: 'cutouts', filters, ...config },
  });
}

/** A database that tells what is read from it. */
export function watched(database: Database): {
  database: Database;
  pagesRead: Map<string, number>;
  queries: string[];
} {
  const pagesRead = new Map<string, number>();
  const queries: string[] = [];
  return {
    pagesRead,
    queries,
    database: {
      ...database,
      async *pages(query) {
        queries.push(query.table);
        for await (const page of database.pages(query)) {
          pagesRead.set(query.table, (pagesRead.get(query.table) ?? 0) + 1);
          yield page;
        }
      },
    },
  };
}
