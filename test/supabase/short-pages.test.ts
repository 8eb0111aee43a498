import { expect, test } from '@jest/globals';
import { z } from 'zod';

import { createDatabase } from '../../src/supabase/database.ts';
import { testSupabase } from '../support/supabase.ts';

test('a project that cuts pages shorter than asked for is read to the end', async () => {
  await using supabase = await testSupabase();
  await supabase.sql(`
    insert into products (barcode, frame_count) select 'b' || n, 1 from generate_series(1, 40) n;
    insert into cutout_images (external_id, image_url, matched_product_id)
    select row_number() over (), 'u', p.id from products p, generate_series(1, 3);
  `);
  const urls: string[] = [];
  const cutting: typeof fetch = (input, init) => {
    const url = input instanceof Request ? input.url : input.toString();
    urls.push(url);
    return fetch(url.replace(/limit=\d+/, 'limit=7'), init);
  };
  const database = createDatabase({ url: supabase.url, key: supabase.serviceKey, fetch: cutting });
  const read = async (query: { column: string; value: string[] } | undefined): Promise<string[]> => {
    const ids: string[] = [];
    const filters = query === undefined ? [] : [{ ...query, op: 'in' as const }];
    const schema = z.object({ id: z.string() });
    for await (const page of database.pages({ table: 'cutout_images', columns: 'id', schema, filters })) {
      expect(page.length).toBeLessThanOrEqual(7);
      ids.push(...page.map((row) => row.id));
    }
    return ids.sort();
  };
  const all = (await supabase.sql('select id from cutout_images order by id')).map((row) => String(row.id));
  const products = (await supabase.sql('select id from products')).map((row) => String(row.id));

  expect(all).toHaveLength(120);
  expect(await read(undefined)).toEqual(all);
  expect(await read({ column: 'matched_product_id', value: products })).toEqual(all);
  urls.length = 0;
  expect(await read({ column: 'id', value: all })).toEqual(all);
  // 120 ids in sevens: the last page is known to be the last, as every id that was asked for has come.
  expect(urls).toHaveLength(18);
  expect(Math.max(...urls.map((url) => url.length))).toBeLessThan(8_300);
});
