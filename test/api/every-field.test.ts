import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  CLASSIFICATION_REQUEST,
  classificationInput,
  extractionInput,
  InputError,
  planClassification,
  planExtraction,
  type ClassificationRequest,
} from '../../src/api/index.ts';
import { parseClassificationInput } from '../../src/classification/input.ts';
import { fromSchema } from '../support/api/from-schema.ts';
import type { ResolvedCombined, ResolvedMatching } from '../../src/api/plan/extraction-fields.ts';
import {
  EXTRACTION_REQUESTS,
  type ExtractionRequest,
  type Purpose,
} from '../../src/api/requests/extraction.ts';
import { FILTERS, parseEmbeddingInput, type EmbeddingInput } from '../../src/embedding/input.ts';
import { anyRequest, everything, LABELLED_ID } from '../support/api/requests.ts';

const JOB_ID = '839c284e-5ace-5b18-a087-25ceb89add55';
const PURPOSES = Object.keys(EXTRACTION_REQUESTS) as Purpose[];

/** Where the handler, having parsed its input, finds each field: written down apart from the code that puts it there. */
type Found<R> = { [K in keyof Required<R>]: (job: EmbeddingInput) => readonly unknown[] };
type Common = Omit<ResolvedCombined, 'collection_name'>;

const COMMON: Found<Common> = {
  purpose: (job) => [job.purpose, job.collection_metadata?.collection_type],
  model: (job) => [
    {
      model_type: job.model_type,
      embedding_dim: job.embedding_dim,
      checkpoint_url: job.checkpoint_url,
      id: job.collection_metadata?.embedding_model_id,
    },
  ],
  source: (job) => [job.source_config?.type],
  product_source: (job) => [job.source_config?.filters.product_source, job.collection_metadata?.source_type],
  product_ids: (job) => [job.source_config?.filters.product_ids],
  product_dataset_id: (job) => [
    job.source_config?.filters.product_dataset_id,
    job.collection_metadata?.source_dataset_id,
  ],
  product_filter: (job) => [job.source_config?.filters.product_filter],
  image_types: (job) => [job.source_config?.filters.image_types, job.collection_metadata?.image_types],
  frame_selection: (job) => [job.source_config?.frame_selection, job.collection_metadata?.frame_selection],
  max_frames: (job) => [job.source_config?.max_frames],
  frame_interval: (job) => [job.source_config?.frame_interval],
  include_matched_cutouts: (job) => [job.source_config?.filters.include_matched_cutouts],
  cutout_has_embedding: (job) => [job.source_config?.filters.has_embedding],
  cutout_filter_has_upc: (job) => [job.source_config?.filters.cutout_filter_has_upc],
  cutout_merchant_names: (job) => [job.source_config?.filters.cutout_merchant_names],
  cutout_merchant_ids: (job) => [job.source_config?.filters.cutout_merchant_ids],
  collection_mode: (job) => [
    job.source_config?.append_only_new === true
      ? 'append'
      : job.rebuild?.replace === true
        ? 'replace'
        : 'create',
  ],
  keep_replaced: (job) => [job.rebuild?.keep_replaced],
  max_failed_share: (job) => [job.rebuild?.max_failed_share],
  append_trust_points: (job) => [job.source_config?.append_trust_points],
  allow_mixed_models: (job) => [job.allow_mixed_models],
  batch_size: (job) => [job.batch_size],
};
const MATCHING: Found<ResolvedMatching> = {
  ...COMMON,
  product_collection: (job) => [
    job.source_config?.product_collection,
    job.collection_metadata?.product_collection,
  ],
  cutout_collection: (job) => [
    job.source_config?.cutout_collection,
    job.collection_metadata?.cutout_collection,
  ],
};
const COMBINED: Found<ResolvedCombined> = {
  ...COMMON,
  collection_name: (job) => [
    job.collection_name,
    job.source_config?.product_collection,
    job.source_config?.cutout_collection,
  ],
};

/** Fields that mean something else in a job: what they mean there. */
function meaningOf(field: string, value: unknown): unknown {
  if (field === 'product_filter') return FILTERS.shape.product_filter.parse(value);
  if (field !== 'model') return value;
  const { slug: _, ...model } = value as ResolvedCombined['model'];
  return model;
}

/** Ids are in lower case and lists of them without doubles; no image type is the synthetic one. */
function asRead(field: string, value: unknown): unknown {
  if (field === 'product_dataset_id') return String(value).toLowerCase();
  if (field === 'product_ids') return [...new Set((value as string[]).map((id) => id.toLowerCase()))];
  if (field === 'image_types') return (value as string[]).length === 0 ? ['synthetic'] : value;
  const { id } = (field === 'model' ? value : {}) as { id?: string };
  return id === undefined ? value : { ...(value as object), id: id.toLowerCase() };
}

function parse(purpose: Purpose, body: unknown): ExtractionRequest {
  return EXTRACTION_REQUESTS[purpose].parse(body);
}

const sizeOf = (request: ExtractionRequest): number => request.model.embedding_dim ?? 768;

describe.each(PURPOSES)('any %s request', (purpose) => {
  test('is a job whose handler finds every field of it again', async () => {
    await fc.assert(
      fc.asyncProperty(anyRequest(purpose), async (body) => {
        const request = parse(purpose, body);
        const isAppend = request.collection_mode === 'append';
        const lookup = everything({
          collection: () => Promise.resolve(isAppend ? { size: sizeOf(request) } : null),
        });
        const plan = await planExtraction(request, { lookup });
        const job = parseEmbeddingInput(extractionInput(plan, JOB_ID));

        expect(job.unknownKeys).toEqual([]);
        expect(job.job_id).toBe(JOB_ID);
        const { resolved } = plan;
        const finds = resolved.purpose === 'matching' ? MATCHING : COMBINED;
        // What the sender wrote is in what was resolved, name by name; into how many jobs it goes is said beside it.
        const { shards, images_per_shard, ...asked } = body;
        expect(Object.keys(finds)).toEqual(expect.arrayContaining(Object.keys(asked)));
        const division = {
          ...(shards !== undefined && { shards }),
          ...(images_per_shard !== undefined && { images_per_shard }),
        };
        expect(plan.division ?? {}).toEqual(division);
        for (const [field, found] of Object.entries(finds)) {
          const value = (resolved as Record<string, unknown>)[field];
          if (value === undefined) continue;
          const places = found(job);
          expect({ field, places }).toEqual({ field, places: places.map(() => meaningOf(field, value)) });
        }
      }),
      { numRuns: 150 },
    );
  });

  test('keeps what the sender wrote when it is read and when its names are looked up', async () => {
    await fc.assert(
      fc.asyncProperty(anyRequest(purpose), async (body) => {
        const request = parse(purpose, { ...body, collection_mode: 'replace' });
        const { resolved } = await planExtraction(request, { lookup: everything() });
        const { model, ...fields } = { ...body, collection_mode: 'replace' } as Record<string, unknown>;
        for (const [field, value] of Object.entries(fields)) {
          expect([field, request[field as keyof ExtractionRequest]]).toEqual([field, asRead(field, value)]);
        }
        expect(request.model).toEqual(asRead('model', model ?? { active: true }));
        const { shards: _, images_per_shard: __, ...asked } = request;
        expect(resolved).toMatchObject({ ...asked, model: {} });
      }),
      { numRuns: 100 },
    );
  });
});

test('any classification request is a job whose handler finds every field of it again', async () => {
  const anyBody = fromSchema(CLASSIFICATION_REQUEST.jsonSchema, {
    schemas: {},
    known: [LABELLED_ID, 'a/model.onnx'],
  });
  const found = new Set<unknown>();
  await fc.assert(
    fc.asyncProperty(anyBody, async (body) => {
      const request = parsed(body);
      fc.pre(request !== undefined);
      const plan = await planClassification(request, { lookup: everything() });
      const job = parseClassificationInput(classificationInput(plan, JOB_ID));
      const { name, ...fields } = request;
      expect(job).toMatchObject({ ...fields, training_run_id: JOB_ID, unknownKeys: [] });
      expect(job.config).toEqual(request.config);
      expect(plan.name).toBe(name ?? `Drinks ${request.config.model_name}`);
      found.add(body);
    }),
    { numRuns: 100 },
  );
  expect(found.size).toBeGreaterThan(50);
});

function parsed(body: unknown): ClassificationRequest | undefined {
  try {
    return CLASSIFICATION_REQUEST.parse(body);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
