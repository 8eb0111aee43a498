import { describe, expect, test } from '@jest/globals';

import { InputError } from '../../src/base/errors.ts';
import { parseEmbeddingInput, targetCollection } from '../../src/embedding/input.ts';
import { EMBEDDING_JOBS, readJob } from '../support/job-files.ts';

const JOB_ID = '839C284E-5ACE-5B18-A087-25CEB89ADD55';
const IMAGE = { id: 'a', url: 'https://images.example.invalid/a.png', type: 'product' };

/** A job that reads from the database, with these filters. */
function withFilters(filters: Record<string, unknown>, source: Record<string, unknown> = {}) {
  return { job_id: JOB_ID, collection_name: 'c', source_config: { ...source, filters } };
}

function issuesOf(value: unknown): Record<string, string> {
  try {
    parseEmbeddingInput(value);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return Object.fromEntries(error.issues.map(({ key, message }) => [key, message]));
  }
  return {};
}

describe('jobs as the API sends them', () => {
  test.each(EMBEDDING_JOBS)('%s parses as it stands, and no key of it is unknown', (name) => {
    expect(parseEmbeddingInput(readJob(name)).unknownKeys).toEqual([]);
  });

  test('an append job keeps every choice', () => {
    expect(parseEmbeddingInput(readJob('matching-append-selected.json'))).toMatchObject({
      job_id: '839c284e-5ace-5b18-a087-25ceb89add55',
      model_type: 'dinov2-base',
      embedding_dim: 768,
      purpose: 'matching',
      source_config: {
        type: 'both',
        append_only_new: true,
        frame_selection: 'key_frames',
        filters: {
          has_embedding: false,
          product_source: 'selected',
          cutout_filter_has_upc: true,
          cutout_merchant_names: ['North Market', 'Corner Shop'],
          cutout_merchant_ids: [12, 19],
        },
      },
      collection_metadata: { embedding_model_id: 'c6c7a4bc-d9d0-5678-a1d9-b4086b0c5254' },
    });
  });

  test('a null in the metadata of an image is dropped, what else it holds is kept', () => {
    const { images = [] } = parseEmbeddingInput(readJob('production-images.json'));
    expect(images[1]?.id).toBe('56eb6438-11f1-591b-af36-f528be2bf501_real_None');
    expect(images[1]?.metadata).not.toHaveProperty('frame_index');
    expect(images[1]?.metadata).toMatchObject({ source: 'product', image_type: 'real', is_production: true });
  });

  test('a stateless job keeps what its images carry along', () => {
    const { images, job_id, batch_size } = parseEmbeddingInput(readJob('stateless.json'));
    expect({ job_id, batch_size }).toEqual({ job_id: undefined, batch_size: 16 });
    expect(images?.[0]).toMatchObject({ domain: 'real', external_id: 4711 });
    expect(images?.[1]).toMatchObject({ domain: 'synthetic', frame_index: 0 });
  });
});

describe('defaults', () => {
  test('of a job that names nothing but itself', () => {
    expect(parseEmbeddingInput({ job_id: JOB_ID, collection_name: 'c', source_config: {} })).toEqual({
      job_id: JOB_ID.toLowerCase(),
      collection_name: 'c',
      model_type: 'dinov2-base',
      allow_mixed_models: false,
      source_config: {
        type: 'both',
        append_only_new: false,
        append_trust_points: false,
        frame_selection: 'first',
        max_frames: 10,
        frame_interval: 5,
        filters: {
          product_source: 'all',
          product_ids: [],
          product_filter: [],
          cutout_filter_has_upc: false,
          cutout_merchant_names: [],
          cutout_merchant_ids: [],
          image_types: ['synthetic'],
          include_matched_cutouts: false,
        },
      },
      unknownKeys: [],
    });
  });

  test('an empty list of image types is the default', () => {
    expect(parseEmbeddingInput(withFilters({ image_types: [] })).source_config?.filters.image_types).toEqual([
      'synthetic',
    ]);
  });

  test('the target of each type falls back to collection_name', () => {
    const input = parseEmbeddingInput(withFilters({}, { cutout_collection: 'cutouts' }));
    expect([targetCollection(input, 'product'), targetCollection(input, 'cutout')]).toEqual(['c', 'cutouts']);
  });
});

describe('values', () => {
  test('ids are lower-cased, and each is kept once', () => {
    const ids = [JOB_ID, JOB_ID.toLowerCase(), 'ffffffff-ffff-ffff-ffff-ffffffffffff'];
    const input = parseEmbeddingInput(withFilters({ product_source: 'selected', product_ids: ids }));
    expect(input.source_config?.filters.product_ids).toEqual([ids[1], ids[2]]);
  });

  test('an image id may be a number, and may repeat', () => {
    const images = [IMAGE, { ...IMAGE, id: 4711 }, { ...IMAGE, url: 'data:image/png;base64,AAAA' }, IMAGE];
    expect(parseEmbeddingInput({ images }).images?.map(({ id }) => id)).toEqual(['a', '4711', 'a', 'a']);
  });

  test.each(['HTTP://host/a.png', 'data:image/png;base64,AAAA', 'folder/a.png', '/a.png', 'a b.png'])(
    'an image may lie at %s',
    (url) => {
      expect(parseEmbeddingInput({ images: [{ ...IMAGE, url }] }).images?.[0]?.url).toBe(url);
    },
  );

  test('an address that leads nowhere is for its own image to fail by, a missing one is not', () => {
    for (const url of ['ftp://host/a.png', 'https://', ' a.png']) {
      expect(issuesOf({ images: [IMAGE, { ...IMAGE, url }] })).toEqual({});
    }
    expect(issuesOf({ images: [IMAGE, { ...IMAGE, url: '' }] })).toEqual({
      'images[1].url': expect.stringContaining('expected an http(s) address, a data: url, or the path'),
    });
  });

  test.each(['https://host/models/best.onnx', 'https://host/m.ONNX?token=x', 'models/run-1/best.onnx'])(
    'a checkpoint may be %s',
    (checkpoint_url) => {
      expect(parseEmbeddingInput({ images: [IMAGE], checkpoint_url }).checkpoint_url).toBe(checkpoint_url);
    },
  );

  test.each(['best.pt', 'best.pth', 'best.PTH', 'best.ckpt', 'pytorch_model.bin', 'model.safetensors'])(
    'a torch checkpoint is refused by its name: %s',
    (name) => {
      const { checkpoint_url: message } = issuesOf({
        images: [IMAGE],
        checkpoint_url: `https://host/runs/${name}?token=hidden-part&x=.onnx`,
      });
      expect(message).toContain(`${name} is a torch checkpoint`);
      expect(message).toMatch(/export.*ONNX/);
      expect(message).not.toContain('hidden-part');
    },
  );

  test.each(['https://host/model', 'file:///m.onnx', 'model.zip', 'https://host/a.zip?x=.onnx'])(
    'nor is %s a checkpoint',
    (checkpoint_url) => {
      expect(issuesOf({ images: [IMAGE], checkpoint_url }).checkpoint_url).toContain(
        'expected an .onnx file',
      );
    },
  );

  test.each(['..', '.', 'a/b', 'a\nb', '', 'x'.repeat(256)])(
    'no collection is called %j',
    (collection_name) => {
      expect(issuesOf({ images: [IMAGE], collection_name }).collection_name).toContain(
        'expected a collection name',
      );
    },
  );

  test('a key that no header can hold is refused, and blanks around it are dropped', () => {
    const pair = { images: [IMAGE], supabase_url: 'https://x.example' };
    expect(parseEmbeddingInput({ ...pair, supabase_service_key: ' k1\n' }).supabase_service_key).toBe('k1');
    expect(issuesOf({ ...pair, supabase_service_key: 'part-1\npart-2' }).supabase_service_key).not.toContain(
      'part-',
    );
  });
});

describe('messages name the key, what was found and what was expected', () => {
  test.each<[string, unknown, string, RegExp]>([
    ['no object', 'text', 'input', /expected an object, found a string of 4 characters/],
    ['a list', [1], 'input', /expected an object, found a list of 1 item$/],
    ['null', null, 'input', /expected an object, found null/],
    [
      'an unknown model',
      { model_type: 'dinov9' },
      'model_type',
      /expected one of dinov2-small, .*demo, found "dinov9"/,
    ],
    ['a long word', { model_type: 'x'.repeat(500) }, 'model_type', /found "x{80}\.\.\."$/],
    [
      'a quoted number',
      { batch_size: '16' },
      'batch_size',
      /whole number from 1 to 1024.*quotes.*a string of 2/,
    ],
    ['a number out of range', { batch_size: 5000 }, 'batch_size', /from 1 to 1024.*found 5000$/],
    ['half a number', { embedding_dim: 1.5 }, 'embedding_dim', /whole number from 1.*found 1\.5/],
    ['no job id', { job_id: '12' }, 'job_id', /expected a uuid, found a string of 2/],
    [
      'a job id of another type',
      { job_id: { a: 1 } },
      'job_id',
      /expected a uuid, found an object with 1 key$/,
    ],
    ['no image', { images: [] }, 'images', /is missing; expected a list of images/],
    ['an image that is null', { images: [null] }, 'images[0]', /expected an object, found null/],
    [
      'an image without an id',
      { images: [{ ...IMAGE, id: null }] },
      'images[0].id',
      /is missing; expected a string/,
    ],
    [
      'an image of no type',
      { images: [{ ...IMAGE, type: 'dog' }] },
      'images[0].type',
      /product, cutout, found "dog"/,
    ],
    [
      'metadata as text',
      { images: [{ ...IMAGE, metadata: 'x' }] },
      'images[0].metadata',
      /expected an object/,
    ],
    ['no frames', withFilters({}, { max_frames: 0 }), 'source_config.max_frames', /from 1.*found 0/],
    [
      'no interval',
      withFilters({}, { frame_interval: -5 }),
      'source_config.frame_interval',
      /from 1.*found -5/,
    ],
    [
      'a word for yes',
      withFilters({ has_embedding: 'yes' }),
      'source_config.filters.has_embedding',
      /true or false/,
    ],
    [
      'an image type',
      withFilters({ image_types: ['x'] }),
      'source_config.filters.image_types[0]',
      /synthetic, real/,
    ],
    [
      'a product id',
      withFilters({ product_ids: [JOB_ID, 7] }),
      'source_config.filters.product_ids[1]',
      /uuid, found 7$/,
    ],
    [
      'a merchant',
      withFilters({ cutout_merchant_ids: ['1'] }),
      'source_config.filters.cutout_merchant_ids[0]',
      /whole/,
    ],
    [
      'a model row',
      { collection_metadata: { embedding_model_id: 'x' } },
      'collection_metadata.embedding_model_id',
      /uuid/,
    ],
    [
      'an address',
      { supabase_url: 'localhost' },
      'supabase_url',
      /expected an http\(s\) address, found a string of 9/,
    ],
  ])('%s', (_, value, key, message) => {
    expect(issuesOf(value)[key]).toMatch(message);
  });

  test('every fault at once, up to a number that can be read', () => {
    const faults = issuesOf({ images: Array(500).fill(1), batch_size: 0, purpose: 'fun' });
    expect(Object.keys(faults)).toHaveLength(21);
    expect(faults.input).toBe('482 more faults of this kind');
  });

  test('a value that holds itself, or is too deep', () => {
    const loop: Record<string, unknown> = { ...IMAGE };
    loop.metadata = loop;
    expect(issuesOf({ images: [loop] })['images[0].metadata.metadata']).toContain('at most 64 levels');
    const deep: unknown = JSON.parse('{"a":'.repeat(50_000) + '1' + '}'.repeat(50_000));
    expect(issuesOf({ images: [{ ...IMAGE, metadata: deep }] })).toEqual({
      'images[0].metadata.a': expect.stringContaining('at most 64 levels'),
    });
  });
});

describe('what one key asks of another', () => {
  test.each<[string, unknown, string]>([
    ['a job with a row needs a source', { job_id: JOB_ID }, 'source_config'],
    ['a job without one needs images', {}, 'images'],
    ['and no source makes up for them', { source_config: {} }, 'images'],
    [
      'selected',
      withFilters({ product_source: 'selected', product_ids: [] }),
      'source_config.filters.product_ids',
    ],
    ['dataset', withFilters({ product_source: 'dataset' }), 'source_config.filters.product_dataset_id'],
    [
      'filter',
      withFilters({ product_source: 'filter', product_filter: {} }),
      'source_config.filters.product_filter',
    ],
    ['products', { job_id: JOB_ID, source_config: { type: 'products' } }, 'source_config.product_collection'],
    ['cutouts', { job_id: JOB_ID, source_config: { type: 'cutouts' } }, 'source_config.cutout_collection'],
    ['no images', { job_id: JOB_ID, collection_name: 'c', images: [] }, 'source_config'],
    ['images', { job_id: JOB_ID, images: [{ ...IMAGE, collection: 'c' }, IMAGE] }, 'images[1].collection'],
    ['supabase', { images: [IMAGE], supabase_url: 'https://x.example' }, 'supabase_service_key'],
    ['supabase, other way', { images: [IMAGE], supabase_service_key: 'k' }, 'supabase_url'],
    ['qdrant, other way', { images: [IMAGE], qdrant_api_key: 'k' }, 'qdrant_url'],
  ])('%s', (_, value, key) => {
    expect(Object.keys(issuesOf(value))).toEqual([key]);
    expect(issuesOf(value)[key]).toContain('is missing');
  });

  test.each<[string, unknown]>([
    ['cutouts alone need no product ids', withFilters({ product_source: 'selected' }, { type: 'cutouts' })],
    [
      'products alone need no cutout collection',
      { job_id: JOB_ID, source_config: { type: 'products', product_collection: 'p' } },
    ],
    [
      'images beside a source need no collection',
      { ...withFilters({}, { product_collection: 'p', cutout_collection: 'q' }), images: [IMAGE] },
    ],
    [
      'an empty list of images beside a source is no fault',
      { ...withFilters({}, { product_collection: 'p', cutout_collection: 'q' }), images: [] },
    ],
    ['a stateless job needs none', { images: [IMAGE] }],
    ['a Qdrant may take no key', { images: [IMAGE], qdrant_url: 'http://localhost:6333' }],
    [
      'an empty key says so too',
      { images: [IMAGE], qdrant_url: 'http://localhost:6333', qdrant_api_key: '' },
    ],
  ])('%s', (_, value) => {
    expect(issuesOf(value)).toEqual({});
  });

  test('cutouts of selected products need the ids', () => {
    const filters = { product_source: 'selected', include_matched_cutouts: true };
    expect(Object.keys(issuesOf(withFilters(filters, { type: 'cutouts' })))).toEqual([
      'source_config.filters.product_ids',
    ]);
  });
});

describe('product_filter', () => {
  const filtersOf = (product_filter: unknown) =>
    parseEmbeddingInput(withFilters({ product_source: 'filter', product_filter })).source_config?.filters
      .product_filter;

  test('every form becomes a condition', () => {
    const filter = {
      category: 'drinks',
      barcode: ['1', 2],
      is_active: true,
      frame_count_gt: 1,
      frame_count_gte: 2,
      created_at_lt: '2026-01-01',
      frame_count_lte: 90,
      brand_name_is_null: true,
      status_not_null: true,
      a_is_null: false,
      b_not_null: false,
      ignored: null,
    };
    expect(filtersOf(filter)).toEqual([
      { column: 'category', op: 'eq', value: 'drinks' },
      { column: 'barcode', op: 'in', value: ['1', 2] },
      { column: 'is_active', op: 'eq', value: true },
      { column: 'frame_count', op: 'gt', value: 1 },
      { column: 'frame_count', op: 'gte', value: 2 },
      { column: 'created_at', op: 'lt', value: '2026-01-01' },
      { column: 'frame_count', op: 'lte', value: 90 },
      { column: 'brand_name', op: 'is_null' },
      { column: 'status', op: 'not_null' },
      { column: 'a', op: 'not_null' },
      { column: 'b', op: 'is_null' },
    ]);
  });

  test.each<[string, unknown, string]>([
    ['no column name', { 'a;drop': 1 }, '["a;drop"]'],
    ['an embedded column', { 'cutouts.id': 1 }, '["cutouts.id"]'],
    ['a suffix alone', { _gt: 1 }, '._gt'],
    ['an empty list', { a: [] }, '.a'],
    ['an object', { a: { b: 1 } }, '.a'],
    ['a list of booleans', { a: [true] }, '.a'],
    ['a list to compare with', { a_gt: [1] }, '.a_gt'],
    ['a word for yes', { a_is_null: 'true' }, '.a_is_null'],
  ])('refuses %s', (_, filter, key) => {
    const issues = issuesOf(withFilters({ product_source: 'filter', product_filter: filter }));
    expect(Object.keys(issues)).toEqual([`source_config.filters.product_filter${key}`]);
  });
});

describe('unknown keys', () => {
  test('are accepted at every depth and named once', () => {
    const input = parseEmbeddingInput({
      ...withFilters({ 'odd key': 1, gone: null }, { extra: 2 }),
      images: [
        { ...IMAGE, note: 1, metadata: { anything: 1 } },
        { ...IMAGE, note: 2 },
      ],
      collection_metadata: { more: 1 },
      priority: 3,
      nothing: null,
    });
    expect(input.unknownKeys.toSorted()).toEqual([
      'collection_metadata.more',
      'images[].note',
      'priority',
      'source_config.extra',
      'source_config.filters["odd key"]',
    ]);
    expect(input).not.toHaveProperty('priority');
  });

  test('a list of them ends somewhere', () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${String(i)}`, i]));
    expect(parseEmbeddingInput({ images: [IMAGE], ...many }).unknownKeys).toHaveLength(100);
  });
});
