import { randomUUID } from 'node:crypto';

import { createEmbeddingHandler, type EmbeddingHandler } from '../../handlers/embedding.ts';
import { createLog } from '../../src/base/log.ts';
import { readSettings } from '../../src/base/settings.ts';
import type { EmbeddingOutput } from '../../src/embedding/output.ts';
import { createEmbeddingTools, type EmbeddingTools } from '../../src/embedding/tools.ts';
import type { VectorStore } from '../../src/qdrant/store.ts';
import { invoke } from '../../src/worker/invoke.ts';
import { testImages, type TestImages } from './images.ts';
import { testQdrant } from './qdrant.ts';
import { testSupabase, type TestSupabase } from './supabase.ts';

/** Everything a job speaks to, real and on this machine, and the handler with its tools. */
export interface JobCloud extends AsyncDisposable {
  supabase: TestSupabase;
  qdrant: { url: string; apiKey: string; store: VectorStore };
  images: TestImages;
  tools: EmbeddingTools & { settleMs: number };
  handler: EmbeddingHandler;
  /** The keys of a job's input that say where all this is. */
  credentials: Record<string, string>;
}

/** A batch is always run whole, and most jobs of tests have a few pictures. */
const BATCH_SIZE = 4;

/** Models of other machines play no part in a test. */
const NO_HUB = { HF_HUB_OFFLINE: '1', HF_HUB_CACHE: '/nowhere/hub' };

/** One for a test file: it costs a few seconds. */
export async function startJobCloud(): Promise<JobCloud> {
  const started = new AsyncDisposableStack();
  const [supabase, qdrant, images] = await Promise.all([testSupabase(), testQdrant(), testImages()]);
  for (const part of [supabase, qdrant, images]) started.use(part);
  const settings = {
    ...readSettings(NO_HUB),
    ALLOW_PRIVATE_HOSTS: true,
    BATCH_SIZE,
    INFERENCE_SESSIONS: 1,
  };
  // Rows of tests are written before their jobs run: nobody writes over them late.
  const tools = { ...started.adopt(createEmbeddingTools(settings), (t) => t.close()), settleMs: 0 };
  await supabase.sql(
    `insert into embedding_models (id, name, model_type, embedding_dim)
     values ('${MODEL_ID}', 'Demo', 'demo', 1)`,
  );
  return {
    supabase,
    qdrant,
    images,
    tools,
    handler: createEmbeddingHandler(tools),
    credentials: {
      supabase_url: supabase.url,
      supabase_service_key: supabase.serviceKey,
      qdrant_url: qdrant.url,
      qdrant_api_key: qdrant.apiKey,
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** Row of `embedding_models` that every cloud has. */
export const MODEL_ID = '0de1c0de-0000-4000-8000-000000000001';

export interface LogLine {
  level: string;
  message: string;
  [field: string]: unknown;
}

export interface JobRun<O = EmbeddingOutput> {
  jobId: string;
  output: O;
  lines: LogLine[];
  messages: string[];
  progress: { processed: number; total: number; failed: number }[];
}

export interface JobOptions {
  /** Columns of the job's row; null: the database has no such row; absent: an ordinary queued one. */
  row?: Record<string, unknown> | null;
  signal?: AbortSignal;
  handler?: EmbeddingHandler;
  /** Told of every log line as it is written. */
  onLine?: (line: LogLine) => void;
}

/** Submits a job as the API does, the row first, and runs it to its end. Keys given win over what all jobs have. */
export async function runJob<O = EmbeddingOutput>(
  cloud: JobCloud,
  input: Record<string, unknown>,
  options: JobOptions = {},
): Promise<JobRun<O>> {
  const jobId = typeof input.job_id === 'string' ? input.job_id : randomUUID();
  if (options.row !== null) await insertJob(cloud, jobId, options.row);
  const lines: LogLine[] = [];
  const progress: JobRun['progress'] = [];
  const output = await invoke(
    options.handler ?? cloud.handler,
    { job_id: jobId, model_type: 'demo', ...cloud.credentials, ...input },
    {
      id: jobId,
      ...(options.signal && { signal: options.signal }),
      log: createLog({
        level: 'debug',
        write: (text) => {
          const line = JSON.parse(text) as LogLine;
          lines.push(line);
          options.onLine?.(line);
        },
      }),
      onProgress: (value) => progress.push(value as JobRun['progress'][number]),
    },
  );
  const messages = lines.map(({ message }) => message);
  return { jobId, output: output as O, lines, messages, progress };
}

/** An existing row is left as it is. */
async function insertJob(cloud: JobCloud, id: string, columns: Record<string, unknown> = {}): Promise<void> {
  const row = { id, job_type: 'full', source: 'both', status: 'queued', ...columns };
  const names = Object.keys(row).join(', ');
  await cloud.supabase.sql(
    `insert into embedding_jobs (${names}) select ${names} from jsonb_populate_record(null::embedding_jobs, $1::jsonb)
     on conflict do nothing`,
    [JSON.stringify(row)],
  );
}

export type Row = Record<string, unknown>;

export async function jobRow(cloud: JobCloud, id: string): Promise<Row> {
  const [row] = await cloud.supabase.sql('select * from embedding_jobs where id = $1', [id]);
  if (row === undefined) throw new TypeError(`there is no job ${id}`);
  return row;
}

/** Rows as JSON would hold them, into any table. */
export async function insertRows(cloud: JobCloud, table: string, rows: readonly Row[]): Promise<void> {
  const names = Object.keys(rows[0] ?? {}).join(', ');
  await cloud.supabase.sql(
    `insert into ${table} (${names}) select ${names} from jsonb_populate_recordset(null::${table}, $1::jsonb)`,
    [JSON.stringify(rows)],
  );
}

export const productId = (i: number): string => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
export const cutoutId = (i: number): string => `c0000000-0000-4000-8000-${String(i).padStart(12, '0')}`;

/** Products with these numbers, whose frames the image server draws. */
export async function addProducts(
  cloud: JobCloud,
  numbers: readonly number[],
  columns: (i: number) => Row = () => ({}),
): Promise<string[]> {
  const rows = numbers.map((i) => ({
    id: productId(i),
    barcode: `barcode-${i}`,
    brand_name: `Brand ${i}`,
    product_name: `Product ${i}`,
    category: 'any',
    frames_path: `${cloud.images.url}/frames/${productId(i)}`,
    frame_count: 3,
    ...columns(i),
  }));
  await insertRows(cloud, 'products', rows);
  return rows.map(({ id }) => id);
}

/** Cutouts with these numbers: photos of the product that `of` says. */
export async function addCutouts(
  cloud: JobCloud,
  numbers: readonly number[],
  of: (i: number) => number,
  columns: (i: number) => Row = () => ({}),
): Promise<string[]> {
  const rows = numbers.map((i) => ({
    id: cutoutId(i),
    external_id: i,
    image_url: `${cloud.images.url}/cutouts/${productId(of(i))}/${i}.jpg`,
    predicted_upc: `upc-${i}`,
    merchant: 'North Market',
    merchant_id: 12,
    has_embedding: false,
    ...columns(i),
  }));
  await insertRows(cloud, 'cutout_images', rows);
  return rows.map(({ id }) => id);
}

export interface TestPoint {
  id: string;
  payload: Row;
  vector: number[];
}

const PAGE = 500;

/** All points of a collection, whole, by their id: read over plain HTTP, past the code under test. */
export async function pointsOf(cloud: JobCloud, collection: string): Promise<Map<string, TestPoint>> {
  const points = new Map<string, TestPoint>();
  let offset: unknown = null;
  do {
    const page = (await askQdrant(
      cloud,
      'POST',
      `/collections/${encodeURIComponent(collection)}/points/scroll`,
      {
        limit: PAGE,
        with_payload: true,
        with_vector: true,
        ...(offset !== null && { offset }),
      },
    )) as {
      points: { id: string | number; payload: Row | null; vector: number[] }[];
      next_page_offset: unknown;
    };
    for (const { id, payload, vector } of page.points) {
      points.set(String(id), { id: String(id), payload: payload ?? {}, vector });
    }
    offset = page.next_page_offset ?? null;
  } while (offset !== null);
  return points;
}

/** What Qdrant answers, as `result`. */
export async function askQdrant(
  { qdrant }: JobCloud,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const response = await fetch(`${qdrant.url}${path}`, {
    method,
    headers: { 'api-key': qdrant.apiKey, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as { result: unknown };
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer.result;
}

/** Names of all collections, sorted. */
export async function collectionsIn(cloud: JobCloud): Promise<string[]> {
  const { collections } = (await askQdrant(cloud, 'GET', '/collections')) as {
    collections: { name: string }[];
  };
  return collections.map(({ name }) => name).sort();
}

/** The image ids of a collection's points, sorted. */
export async function imagesIn(cloud: JobCloud, collection: string): Promise<string[]> {
  const points = await pointsOf(cloud, collection);
  return [...points.values()].map(({ payload }) => String(payload.id)).sort();
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i);
