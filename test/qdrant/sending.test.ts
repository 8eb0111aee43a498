import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { describe, expect, test } from '@jest/globals';

import { parseQdrantAddress } from '../../src/qdrant/address.ts';
import {
  canonicalId,
  groupPoints,
  MAX_REQUEST_BYTES,
  MAX_REQUEST_POINTS,
  plainPayload,
} from '../../src/qdrant/points.ts';
import { createVectorStore, type Point, type PointId } from '../../src/qdrant/store.ts';

/** A server that takes every upsert, and counts bytes and how many were under way at once. */
async function discarding() {
  const requests: { points: number; bytes: number }[] = [];
  let running = 0;
  let most = 0;
  const server = createServer((request, response) => {
    running += 1;
    most = Math.max(most, running);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const { points } = JSON.parse(body.toString()) as { points: unknown[] };
      requests.push({ points: points.length, bytes: body.length });
      setTimeout(() => {
        running -= 1;
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end('{"result":{"operation_id":1,"status":"completed"},"status":"ok","time":0}');
      }, 20);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    requests,
    most: () => most,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function pointOf(id: PointId, size = 2, payload: Record<string, unknown> = {}): Point {
  return { id, vector: new Float32Array(size).fill(0.123456789), payload };
}

describe('requests', () => {
  test('are bounded in points, several at once, and none is sent for no points', async () => {
    await using server = await discarding();
    const store = createVectorStore({ url: server.url });
    await store.upsert('things', []);
    expect(server.requests).toEqual([]);
    await store.upsert(
      'things',
      Array.from({ length: 2_000 }, (_, i) => pointOf(i)),
    );
    expect(server.requests.map((r) => r.points).reduce((a, b) => a + b)).toBe(2_000);
    expect(Math.max(...server.requests.map((r) => r.points))).toBe(MAX_REQUEST_POINTS);
    expect(server.requests).toHaveLength(8);
    expect(server.most()).toBeGreaterThanOrEqual(2);
    expect(server.most()).toBeLessThanOrEqual(4);
  });

  test('are bounded in bytes, by vectors and by payloads', async () => {
    await using server = await discarding();
    const store = createVectorStore({ url: server.url });
    await store.upsert(
      'things',
      Array.from({ length: 250 }, (_, i) => pointOf(i, 2_048)),
    );
    await store.upsert(
      'things',
      Array.from({ length: 40 }, (_, i) => pointOf(i, 2, { text: 'é'.repeat(200_000) })),
    );
    expect(server.requests.length).toBeGreaterThanOrEqual(4);
    for (const { bytes } of server.requests) expect(bytes).toBeLessThanOrEqual(MAX_REQUEST_BYTES);
  });

  test('a point above the bound goes alone', () => {
    const large = pointOf(2, 2, { text: 'x'.repeat(MAX_REQUEST_BYTES + 1) });
    const groups = groupPoints([pointOf(1), large, pointOf(3)]);
    expect(groups.map((group) => group.map((p) => p.id))).toEqual([[1], [2], [3]]);
  });

  test('a point given twice is sent once, as it was given last', () => {
    const uuid = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
    const groups = groupPoints([
      pointOf(1, 2, { n: 1 }),
      pointOf(uuid, 2, { n: 2 }),
      pointOf(1n, 2, { n: 3 }),
      pointOf(uuid.toUpperCase(), 2, { n: 4 }),
    ]);
    expect(groups.flat().map((p) => p.payload.n)).toEqual([3, 4]);
  });
});

describe('refused before anything is sent', () => {
  test.each([Number.NaN, Infinity, -Infinity])('a vector with %p', async (bad) => {
    await using server = await discarding();
    const store = createVectorStore({ url: server.url });
    const points = Array.from({ length: 600 }, (_, i) => pointOf(i));
    points[599]?.vector.set([bad], 1);
    await expect(store.upsert('things', points)).rejects.toMatchObject({
      code: 'qdrant_rejected',
      message: expect.stringMatching(/point 599 .* at 1/),
    });
    await expect(store.search('things', Float32Array.of(bad), { limit: 1 })).rejects.toMatchObject({
      code: 'qdrant_rejected',
    });
    expect(server.requests).toEqual([]);
  });

  test.each([-1, 1.5, 2 ** 53, Number.NaN, -1n, 2n ** 64n, 'shoe_1', '12', ''])('the id %p', async (id) => {
    await using server = await discarding();
    const store = createVectorStore({ url: server.url });
    await expect(store.upsert('things', [pointOf(1), pointOf(id)])).rejects.toMatchObject({
      code: 'qdrant_rejected',
    });
    await expect(store.payloads('things', [id], ['a'])).rejects.toMatchObject({ code: 'qdrant_rejected' });
    expect(server.requests).toEqual([]);
  });
});

test('ids have one form', () => {
  expect(canonicalId(12)).toBe('12');
  expect(canonicalId(2n ** 64n - 1n)).toBe('18446744073709551615');
  expect(canonicalId('6BA7B8109DAD11D180B400C04FD430C8')).toBe('6ba7b810-9dad-11d1-80b4-00c04fd430c8');
});

test('a payload that was read can be written as JSON, whatever its keys', () => {
  const read = JSON.parse('{"a": [1, {"b": null}], "__proto__": {"c": 1}}') as Record<string, unknown>;
  const plain = plainPayload({ a: read.a, big: 2n ** 60n, deep: [{ n: 2n ** 63n }] });
  expect(JSON.parse(JSON.stringify(plain))).toEqual({
    a: [1, { b: null }],
    big: 2 ** 60,
    deep: [{ n: 2 ** 63 }],
  });
  expect(JSON.stringify(plainPayload(read))).toBe(JSON.stringify(read));
  expect(plainPayload(null)).toEqual({});
});

describe('addresses', () => {
  test.each([
    ['http://localhost', 'http://localhost', 6333, ''],
    ['https://xyz.cloud.qdrant.io', 'https://xyz.cloud.qdrant.io', 6333, ''],
    ['https://qdrant.example:443', 'https://qdrant.example', 443, ''],
    ['http://qdrant.example:80/', 'http://qdrant.example', 80, ''],
    [' http://10.0.0.1:7000/vectors/ ', 'http://10.0.0.1', 7000, '/vectors'],
    ['http://[::1]:6334', 'http://[::1]', 6334, ''],
    ['http://[::1]', 'http://[::1]', 6333, ''],
  ])('%s', (text, origin, port, prefix) => {
    expect(parseQdrantAddress(text)).toEqual({ origin, port, prefix });
  });

  test.each(['', 'localhost:6333', 'ftp://x', 'http://', 'http://me:secret@host', 'http://host?key=secret'])(
    '%p is refused, without quoting it',
    (text) => {
      expect(() => createVectorStore({ url: text })).toThrow(
        expect.objectContaining({ code: 'qdrant_rejected', message: expect.not.stringContaining('secret') }),
      );
    },
  );

  test('a path in front is kept, and no key is printed or quoted', async () => {
    const paths: string[] = [];
    const server = createServer((request, response) => {
      paths.push(request.url ?? '');
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"result":{"count":5},"status":"ok","time":0}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const store = createVectorStore({ url: `http://127.0.0.1:${String(port)}/behind/proxy`, apiKey: 'k' });
    expect(await store.count('a b/c')).toBe(5);
    expect(paths).toEqual(['/behind/proxy/collections/a%20b%2Fc/points/count']);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(() => createVectorStore({ url: 'http://host', apiKey: 'secret\nkey' })).toThrow(
      expect.objectContaining({
        code: 'qdrant_unauthorized',
        message: expect.not.stringContaining('secret'),
      }),
    );
  });
});
