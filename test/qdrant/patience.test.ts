import { expect, test } from '@jest/globals';

import { createVectorStore } from '../../src/qdrant/store.ts';
import { awayFor } from '../support/away.ts';

const TAKEN = { result: { operation_id: 1, status: 'completed' }, status: 'ok', time: 0 };
const POINT = { id: 1, vector: Float32Array.of(1, 0), payload: {} };

test('a Qdrant that is away for a minute gets its points then', async () => {
  await using server = await awayFor(60, TAKEN);
  await server.pass(createVectorStore({ url: server.url }).upsert('things', [POINT]));
  expect(server.seconds()).toBeGreaterThanOrEqual(60);
  expect(server.seconds()).toBeLessThan(75);
});

test('a Qdrant that stays away is given up after two minutes', async () => {
  await using server = await awayFor(600, TAKEN);
  const upsert = createVectorStore({ url: server.url }).upsert('things', [POINT]);
  await expect(server.pass(upsert)).rejects.toMatchObject({ code: 'qdrant_unavailable', retryable: true });
  expect(server.seconds()).toBeGreaterThan(110);
  expect(server.seconds()).toBeLessThan(130);
});
