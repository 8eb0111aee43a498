import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { expect, test } from '@jest/globals';

import { MAX_REQUEST_POINTS } from '../../src/qdrant/points.ts';
import { createVectorStore, type Point } from '../../src/qdrant/store.ts';

/** A server that refuses every request with this point in it, and takes the others, some later than that. */
async function refusing(id: number) {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { points } = JSON.parse(Buffer.concat(chunks).toString()) as { points: { id: number }[] };
      const bad = points.some((point) => point.id === id);
      const body = bad ? { status: { error: 'no' } } : { result: { operation_id: 1, status: 'completed' } };
      const answer = (): void => {
        response.writeHead(bad ? 400 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      };
      setTimeout(answer, bad ? 0 : 30);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const pointOf = (id: number): Point => ({ id, vector: Float32Array.of(1, 0), payload: {} });

test('of a large write that fails in the middle, it is known which points the store took', async () => {
  await using server = await refusing(MAX_REQUEST_POINTS);
  const points = Array.from({ length: 3 * MAX_REQUEST_POINTS }, (_, i) => pointOf(i));
  const taken = new Set<Point>();
  const writing = createVectorStore({ url: server.url }).upsert('things', points, undefined, (some) => {
    for (const point of some) taken.add(point);
  });
  await expect(writing).rejects.toMatchObject({ code: 'qdrant_rejected' });
  // The same objects: the first group and the third, which were under way when the second one was refused.
  const [first, , third] = [0, 1, 2].map((k) =>
    points.slice(k * MAX_REQUEST_POINTS, (k + 1) * MAX_REQUEST_POINTS),
  );
  expect(taken).toEqual(new Set([...(first ?? []), ...(third ?? [])]));
  expect(points.filter((point) => taken.has(point))).toHaveLength(2 * MAX_REQUEST_POINTS);
});

test('a point that is given twice is acknowledged twice, though it is sent once', async () => {
  await using server = await refusing(-1);
  const [early, other, late] = [pointOf(1), pointOf(2), pointOf(1)];
  const taken: Point[] = [];
  await createVectorStore({ url: server.url }).upsert('things', [early, other, late], undefined, (some) => {
    taken.push(...some);
  });
  expect(new Set(taken)).toEqual(new Set([early, other, late]));
  expect(taken).toHaveLength(3);
});
