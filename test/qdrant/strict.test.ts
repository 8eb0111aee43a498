import { expect, test } from '@jest/globals';

import { createVectorStore } from '../../src/qdrant/store.ts';
import { testProxy } from '../support/proxy.ts';
import { testQdrant } from '../support/qdrant.ts';
import { beStrict } from '../support/strict-qdrant.ts';

test('pages are as large as a strict server lets them be, and each point is in one of them', async () => {
  await using qdrant = await testQdrant();
  await using proxy = await testProxy(qdrant.url);
  beStrict(proxy, qdrant, { max_query_limit: 50 });
  await qdrant.store.ensure('things', 2);
  const points = Array.from({ length: 120 }, (_, id) => ({
    id,
    vector: Float32Array.of(1, 0),
    payload: { source: id % 2 === 0 ? 'even' : 'odd' },
  }));
  await qdrant.store.upsert('things', points);
  const store = createVectorStore({ url: proxy.url, apiKey: qdrant.apiKey });
  const filter = { must: [{ key: 'source', match: 'even' }] };
  const pages = await Array.fromAsync(store.scroll('things', { filter, keys: ['source'] }));
  expect(pages.flat().map(({ id }) => Number(id))).toEqual(Array.from({ length: 60 }, (_, i) => 2 * i));
  expect(pages.map(({ length }) => length)).toEqual([32, 28]);
  expect(await store.any('things', filter)).toBe(true);
  expect(await store.any('things', { must: [{ key: 'source', match: 'neither' }] })).toBe(false);
});
