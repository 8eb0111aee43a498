import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { QdrantClient } from '@qdrant/js-client-rest';

import { startLocalQdrant, type LocalQdrant } from '../../src/local/qdrant/qdrant.ts';
import { createVectorStore } from '../../src/qdrant/store.ts';

const API_KEY = 'local-key';

describe('the embedded server', () => {
  let server: LocalQdrant;

  beforeAll(async () => {
    server = await startLocalQdrant({ apiKey: API_KEY });
    await createVectorStore(server).ensure('things', 2);
  });

  afterAll(async () => {
    await server.close();
  });

  async function ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(server.url + path, {
      method,
      headers: { 'api-key': API_KEY, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      text,
      body: text.startsWith('{') ? (JSON.parse(text) as unknown) : text,
    };
  }

  test('listens on the loopback interface only', () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  test('tells its version and health to anybody, and the rest only to who has the key', async () => {
    const nobody = { 'api-key': '' };
    for (const path of ['/', '/healthz', '/livez', '/readyz']) {
      expect(await fetch(server.url + path).then((r) => r.status)).toBe(200);
    }
    const { version } = await new QdrantClient({ url: server.url, checkCompatibility: false }).versionInfo();
    expect(version).toMatch(/^1\.\d+\.\d+$/);
    expect((await fetch(`${server.url}/collections`)).status).toBe(401);
    expect((await ask('GET', '/collections', undefined, nobody)).status).toBe(401);
    expect((await ask('GET', '/collections', undefined, { 'api-key': 'wrong' })).status).toBe(401);
    const bearer = await fetch(`${server.url}/collections`, {
      headers: { authorization: `Bearer ${API_KEY}` },
    });
    expect(bearer.status).toBe(200);
    await expect(
      createVectorStore({ url: server.url, apiKey: 'wrong' }).inspect('things'),
    ).rejects.toMatchObject({
      code: 'qdrant_unauthorized',
    });
    await expect(createVectorStore({ url: server.url }).ensure('other', 2)).rejects.toMatchObject({
      code: 'qdrant_unauthorized',
    });
  });

  test('answers in Qdrant’s envelopes', async () => {
    expect((await ask('GET', '/collections/things/exists')).body).toEqual({
      result: { exists: true },
      status: 'ok',
      time: expect.any(Number),
    });
    expect(await ask('GET', '/collections/absent')).toMatchObject({
      status: 404,
      body: { status: { error: "Not found: Collection `absent` doesn't exist!" }, time: expect.any(Number) },
    });
    expect((await ask('GET', '/collections/things')).body).toMatchObject({
      result: {
        status: 'green',
        optimizer_status: 'ok',
        points_count: 0,
        segments_count: 1,
        config: { params: { vectors: { size: 2, distance: 'Cosine' } } },
        payload_schema: { source: { data_type: 'keyword', points: 0 } },
      },
    });
  });

  test('says acknowledged without wait, and completed with it', async () => {
    const body = { points: [{ id: 1, vector: [1, 0] }] };
    expect((await ask('PUT', '/collections/things/points', body)).body).toMatchObject({
      result: { status: 'acknowledged', operation_id: expect.any(Number) },
    });
    expect((await ask('PUT', '/collections/things/points?wait=true', body)).body).toMatchObject({
      result: { status: 'completed' },
    });
  });

  const point = (more: object) => ({ points: [{ id: 1, vector: [1, 0], ...more }] });
  const REFUSED: [string, string, string, unknown, RegExp][] = [
    ['malformed JSON', 'PUT', '/points', '{"points": [', /Format error in JSON body/],
    ['no body', 'PUT', '/points', undefined, /Format error in JSON body/],
    ['a bad id', 'PUT', '/points', point({ id: 'abc' }), /abc.* is not a valid point ID/],
    ['a negative id', 'PUT', '/points', point({ id: -1 }), /not a valid point ID/],
    [
      'an id above 64 bits',
      'PUT',
      '/points',
      '{"points":[{"id":18446744073709551616,"vector":[1,0]}]}',
      /18446744073709551616 is not a valid point ID/,
    ],
    [
      'a wrong dimension',
      'PUT',
      '/points',
      point({ vector: [1, 2, 3] }),
      /Vector dimension error: expected dim: 2, got 3/,
    ],
    ['a vector with a text', 'PUT', '/points', point({ vector: [1, 'x'] }), /vector\[1\]/],
    ['a number beyond float32', 'PUT', '/points', point({ vector: [1, 1e39] }), /vector\[1\]/],
    [
      'a number beyond double',
      'PUT',
      '/points',
      '{"points":[{"id":1,"vector":[1,0],"payload":{"n":1e400}}]}',
      /out of range/,
    ],
    ['named vectors', 'PUT', '/points', point({ vector: { a: [1, 0] } }), /named/],
    ['half a surrogate pair', 'PUT', '/points', point({ payload: { t: '\ud800' } }), /unicode/],
    ['an unknown field of a point', 'PUT', '/points', point({ colour: 1 }), /`colour`/],
    ['a shard key', 'PUT', '/points', { ...point({}), shard_key: 'a' }, /shard_key/],
    ['an unknown query parameter', 'POST', '/points/count?fast=1', {}, /fast/],
    [
      'a list of vectors to search',
      'POST',
      '/points/query',
      {
        query: [
          [1, 0],
          [0, 1],
        ],
      },
      /vector\[0\]/,
    ],
    ['a recommendation', 'POST', '/points/query', { query: { recommend: { positive: [1] } } }, /recommend/],
    ['a prefetch', 'POST', '/points/query', { query: [1, 0], prefetch: [] }, /`prefetch`/],
    ['a named vector to search', 'POST', '/points/query', { query: [1, 0], using: 'image' }, /`using`/],
    [
      'quantization parameters',
      'POST',
      '/points/query',
      { query: [1, 0], params: { quantization: {} } },
      /`quantization`/,
    ],
    ['an order', 'POST', '/points/scroll', { order_by: 'n' }, /`order_by`/],
    ['an unknown clause', 'POST', '/points/scroll', { filter: { most: [] } }, /`most`/],
    [
      'an unknown condition',
      'POST',
      '/points/scroll',
      { filter: { must: [{ key: 'a', geo_radius: {} }] } },
      /`geo_radius`/,
    ],
    [
      'an unknown match',
      'POST',
      '/points/scroll',
      { filter: { must: [{ key: 'a', match: { phrase: 'b' } }] } },
      /`phrase`/,
    ],
    [
      'a match of a fraction',
      'POST',
      '/points/scroll',
      { filter: { must: [{ key: 'a', match: { value: 1.5 } }] } },
      /integer/,
    ],
    [
      'a mixed list',
      'POST',
      '/points/scroll',
      { filter: { must: [{ key: 'a', match: { any: [1, 'a'] } }] } },
      /texts or of integers/,
    ],
    [
      'two tests in one condition',
      'POST',
      '/points/scroll',
      { filter: { must: [{ key: 'a', match: { value: 1 }, range: { gt: 0 } }] } },
      /one of match and range/,
    ],
    [
      'a range of dates',
      'POST',
      '/points/scroll',
      { filter: { must: [{ key: 'a', range: { gt: '2024-01-01' } }] } },
      /dates/,
    ],
    [
      'a range with an unknown bound',
      'POST',
      '/points/scroll',
      { filter: { must: [{ key: 'a', range: { above: 1 } }] } },
      /above/,
    ],
    ['a full-text index', 'PUT', '/index', { field_name: 'a', field_schema: 'text' }, /field_schema/],
    ['facets', 'POST', '/facet', { key: 'a' }, /POST .*facet/],
    ['payload changes', 'POST', '/points/payload', { payload: {} }, /POST .*payload/],
  ];

  test.each(REFUSED)('refuses %s, naming it', async (_, method, path, body, words) => {
    const answer = await ask(method, `/collections/things${path}`, body);
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(words);
    expect(
      (await ask('POST', '/collections/things/points', { ids: [1], with_vector: true })).body,
    ).toMatchObject({
      result: [{ id: 1, vector: [1, 0], payload: {} }],
    });
  });

  test('refuses collections that it cannot hold as asked', async () => {
    const make = (name: string, body: unknown) => ask('PUT', `/collections/${name}`, body);
    expect(await make('a', { vectors: { size: 0, distance: 'Cosine' } })).toMatchObject({ status: 422 });
    expect(await make('a', { vectors: { size: 20_000, distance: 'Cosine' } })).toMatchObject({ status: 422 });
    expect((await make('a', { vectors: { image: { size: 2, distance: 'Cosine' } } })).text).toMatch(
      /`image`/,
    );
    expect((await make('a', { vectors: { size: 2, distance: 'Cosine' }, sparse_vectors: {} })).text).toMatch(
      /`sparse_vectors`/,
    );
    expect((await make('a', { vectors: { size: 2, distance: 'Jaccard' } })).status).toBe(400);
    expect((await make('a%2Fb', { vectors: { size: 2, distance: 'Cosine' } })).status).toBe(422);
    expect((await ask('GET', '/collections/a')).status).toBe(404);
  });

  test.each([
    ['Dot', [3, 0], 6],
    ['Euclid', [3, 0], 1],
    ['Manhattan', [3, 4], 5],
  ])('measures %s too', async (distance, vector, score) => {
    const name = `by_${distance}`;
    await ask('PUT', `/collections/${name}`, { vectors: { size: 2, distance } });
    const points = [
      { id: 1, vector },
      { id: 2, vector: distance === 'Dot' ? [-9, 0] : [90, 90] },
    ];
    await ask('PUT', `/collections/${name}/points?wait=true`, { points });
    const { body } = await ask('POST', `/collections/${name}/points/query`, {
      query: [2, 0],
      with_vector: true,
    });
    expect(body).toMatchObject({ result: { points: [{ id: 1, score, vector }, { id: 2 }] } });
  });

  test('takes 32 MiB and answers 413 to more, by length and while it comes', async () => {
    const large = JSON.stringify(point({ payload: { text: 'x'.repeat(33 * 1024 * 1024) } }));
    expect((await ask('PUT', '/collections/things/points', large)).status).toBe(413);
    const response = await fetch(`${server.url}/collections/things/points`, {
      method: 'PUT',
      headers: { 'api-key': API_KEY },
      body: new Blob([large]).stream(),
      duplex: 'half',
    });
    expect(response.status).toBe(413);
    const fits = JSON.stringify(point({ id: 9, payload: { text: 'x'.repeat(20 * 1024 * 1024) } }));
    expect((await ask('PUT', '/collections/things/points?wait=true', fits)).status).toBe(200);
    const gone = await ask('POST', '/collections/things/points/delete?wait=true', { points: [9] });
    expect(gone.status).toBe(200);
  });

  test('survives a client that leaves in the middle of its request', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(
      `PUT /collections/things/points HTTP/1.1\r\nhost: x\r\napi-key: ${API_KEY}\r\ncontent-length: 100\r\n\r\n{"poi`,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    expect((await ask('GET', '/collections/things')).status).toBe(200);
  });

  test('an index can be removed, and counts the points that have its key', async () => {
    await ask('PUT', '/collections/things/points?wait=true', point({ id: 5, payload: { barcode: '123' } }));
    const schema = async () =>
      ((await ask('GET', '/collections/things')).body as { result: { payload_schema: unknown } }).result
        .payload_schema;
    expect(await schema()).toMatchObject({ barcode: { data_type: 'keyword', points: 1 } });
    await ask('DELETE', '/collections/things/index/barcode?wait=true');
    expect(await schema()).not.toHaveProperty('barcode');
    await ask('POST', '/collections/things/points/delete?wait=true', { points: [5] });
  });
});

describe('what is written stays', () => {
  test('collections, indexes, aliases, exact ids and vectors are there after a restart', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'gpu-handlers-qdrant-'));
    try {
      const points = [
        { id: 2n ** 64n - 1n, vector: Float32Array.of(0.6, 0.8), payload: { clé: ['\0', '𝄞'], n: 2 ** 40 } },
        { id: '6ba7b810-9dad-11d1-80b4-00c04fd430c8', vector: Float32Array.of(1, 0), payload: {} },
      ];
      const read = async (server: LocalQdrant) => {
        const store = createVectorStore(server);
        const client = new QdrantClient({ url: server.url, checkCompatibility: false });
        return {
          pages: await Array.fromAsync(store.scroll('alias', { keys: ['clé', 'n'], withVectors: true })),
          info: await client.getCollection('things'),
          ensured: await store.ensure('things', 2),
        };
      };
      let before: unknown;
      {
        await using server = await startLocalQdrant({ dataDir });
        const store = createVectorStore(server);
        await store.ensure('things', 2);
        await store.upsert('things', points);
        await new QdrantClient({ url: server.url, checkCompatibility: false }).updateCollectionAliases({
          actions: [{ create_alias: { collection_name: 'things', alias_name: 'alias' } }],
        });
        before = await read(server);
      }
      await using server = await startLocalQdrant({ dataDir });
      expect(await read(server)).toEqual(before);
      expect(before).toMatchObject({
        pages: [[{ id: 2n ** 64n - 1n, payload: points[0]?.payload }, { id: points[1]?.id }]],
      });
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });

  test('closing lets running requests end, and can be asked for twice', async () => {
    const server = await startLocalQdrant();
    const store = createVectorStore({ url: server.url, patienceMs: 0 });
    await store.ensure('things', 2);
    const vector = Float32Array.of(1, 0);
    const writing = store.upsert(
      'things',
      Array.from({ length: 256 }, (_, id) => ({ id, vector, payload: {} })),
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    const closing = server.close();
    expect(server.close()).toBe(closing);
    await Promise.allSettled([writing, closing]);
    await closing;
    await expect(fetch(server.url)).rejects.toThrow('fetch failed');
  });

  test('a port that is taken is an error, and nothing stays open', async () => {
    await using server = await startLocalQdrant();
    const port = Number(new URL(server.url).port);
    await expect(startLocalQdrant({ port })).rejects.toThrow('EADDRINUSE');
  });
});
