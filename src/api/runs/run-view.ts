import { z } from 'zod';

import { HandlerError } from '../../base/errors.ts';
import { redact } from '../../base/redact.ts';
import { knownColumns, type Values } from '../../job/known-columns.ts';
import type { Database, Filter } from '../../supabase/database.ts';
import type { RowPlace } from '../../supabase/newest.ts';
import { leaveShardsOut } from './leave-shards-out.ts';
import { RUN_KIND_NAMES, RUN_KINDS, type RunKindName } from './run-kinds.ts';

/** A run of either kind as it is shown. */
export const RUN_VIEW = z.object({
  id: z.string(),
  kind: z.enum(RUN_KIND_NAMES),
  status: z.string().describe('pending, queued, running (training), completed, failed or cancelled'),
  name: z.string().nullable().describe('Of a classifier.'),
  purpose: z.string().nullable().describe('Of an extraction.'),
  collections: z.array(z.string()).describe('What an extraction fills.'),
  progress: z
    .object({ done: z.number(), total: z.number(), unit: z.enum(['images', 'epochs']) })
    .describe('Failed images count as done; a total of 0 is not known yet.'),
  created_at: z.string(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  error_message: z.string().nullable(),
  runpod_job_id: z.string().nullable().describe('Null as long as there is none, and of a divided run.'),
  shard_count: z.number().nullable().describe('Jobs that the run is divided into; null: it is one itself.'),
  parent_id: z.string().nullable().describe('Of a shard: the run that it is a part of.'),
  shard_index: z.number().nullable().describe('Of a shard: which part, from 0.'),
});
export type RunView = z.infer<typeof RUN_VIEW>;

/** One run, and what its worker gave back. */
export const RUN_DETAILS = RUN_VIEW.extend({
  shards: z
    .array(RUN_VIEW.pick({ id: true, shard_index: true, status: true, progress: true, error_message: true }))
    .describe('Of a divided run; each is a run of its own too.'),
  result: z.record(z.string(), z.unknown()).nullable().describe("The worker's output, without long lists."),
});
export type RunDetails = z.infer<typeof RUN_DETAILS>;

const COMMON = {
  id: z.string(),
  status: z.string(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  error_message: z.string().nullable(),
  runpod_job_id: z.string().nullable(),
};
const RESULT = { result: z.record(z.string(), z.unknown()).nullish() };
const SHARDS = {
  shard_count: z.number().nullish(),
  parent_job_id: z.string().nullish(),
  shard_index: z.number().nullish(),
};
const WITHOUT_SHARDS = z.object({
  ...COMMON,
  purpose: z.string().nullable(),
  collection_names: z.array(z.string()).nullable(),
  processed_images: z.number().nullable(),
  total_images: z.number().nullable(),
});
const EXTRACTION = WITHOUT_SHARDS.extend(SHARDS);
const TRAINING = z.object({
  ...COMMON,
  name: z.string(),
  current_epoch: z.number().nullable(),
  total_epochs: z.number().nullable(),
});
type ExtractionRow = z.infer<typeof EXTRACTION>;
type TrainingRow = z.infer<typeof TRAINING>;

export interface ListQuery {
  kind?: RunKindName | undefined;
  status?: string | undefined;
  /** Only the shards of this run; otherwise none are listed. */
  parent?: string | undefined;
  limit: number;
  after?: RowPlace | undefined;
  signal?: AbortSignal | undefined;
}

/** Runs of one kind or both, newest first; behind a place in that order where it is given. */
export async function listRuns(database: Database, query: ListQuery): Promise<RunView[]> {
  const { kind, status, parent, limit, after, signal } = query;
  const filters: Filter[] = status === undefined ? [] : [{ column: 'status', op: 'eq', value: status }];
  const page = { filters, limit, after, signal };
  const read = async (name: RunKindName): Promise<RunView[]> => {
    const { table } = RUN_KINDS[name];
    if (name === 'embedding') {
      const readAmong = async (among: readonly Filter[], knowsShards = true): Promise<ExtractionRow[]> => {
        const columns = Object.keys((knowsShards ? EXTRACTION : WITHOUT_SHARDS).shape).join(',');
        return database.newest({
          ...page,
          filters: [...filters, ...among],
          table,
          columns,
          schema: EXTRACTION,
        });
      };
      const rows =
        parent === undefined
          ? await leaveShardsOut(readAmong)
          : await readAmong([{ column: 'parent_job_id', op: 'eq', value: parent }]);
      return rows.map(ofExtraction);
    }
    // A classifier's training is never divided.
    if (parent !== undefined) return [];
    const columns = Object.keys(TRAINING.shape).join(',');
    return (await database.newest({ ...page, table, columns, schema: TRAINING })).map(ofTraining);
  };
  const kinds = kind === undefined ? RUN_KIND_NAMES : [kind];
  const runs = (await Promise.all(kinds.map(read))).flat();
  return runs.toSorted(newestFirst).slice(0, limit);
}

/** In the order of the databases: by time, then by id. */
function newestFirst(a: RunView, b: RunView): number {
  if (a.created_at !== b.created_at) return a.created_at < b.created_at ? 1 : -1;
  return a.id < b.id ? 1 : -1;
}

export interface RunReader {
  /** @throws HandlerError `run_not_found`. */
  read(id: string, signal?: AbortSignal): Promise<RunDetails>;
}

export function createRunReader(database: Database, warn: (message: string) => void): RunReader {
  const columnsOf = (table: string) =>
    knownColumns({
      table,
      warn,
      consequences: {
        result: 'results are not shown',
        ...Object.fromEntries(Object.keys(SHARDS).map((column) => [column, 'there are no divided runs'])),
      },
    });
  const known = { embedding: columnsOf('embedding_jobs'), classification: columnsOf('cls_training_runs') };
  const find = <T>(
    kind: RunKindName,
    shape: z.ZodObject,
    schema: z.ZodType<T>,
    id: string,
    signal?: AbortSignal,
  ) =>
    known[kind].write(wantedOf(shape), (columns) =>
      database.find({
        table: RUN_KINDS[kind].table,
        columns: Object.keys(columns).join(','),
        schema,
        filters: [{ column: 'id', op: 'eq', value: id }],
        signal,
      }),
    );
  return {
    async read(id, signal) {
      const extraction = EXTRACTION.extend(RESULT);
      const training = TRAINING.extend(RESULT);
      const [job, run] = await Promise.all([
        find('embedding', extraction, extraction, id, signal),
        find('classification', training, training, id, signal),
      ]);
      if (job !== undefined) {
        const shards = job.shard_count == null ? [] : await shardsOf(database, id, signal);
        return { ...ofExtraction(job), shards, result: job.result ?? null };
      }
      if (run !== undefined) return { ...ofTraining(run), shards: [], result: run.result ?? null };
      throw new HandlerError('run_not_found', `there is no run ${id}`);
    },
  };
}

async function shardsOf(
  database: Database,
  id: string,
  signal: AbortSignal | undefined,
): Promise<RunDetails['shards']> {
  const pages = database.pages({
    table: RUN_KINDS.embedding.table,
    columns: Object.keys(EXTRACTION.shape).join(','),
    schema: EXTRACTION,
    filters: [{ column: 'parent_job_id', op: 'eq', value: id }],
    signal,
  });
  return (await Array.fromAsync(pages))
    .flat()
    .map(ofExtraction)
    .toSorted((a, b) => (a.shard_index ?? 0) - (b.shard_index ?? 0))
    .map(({ id: shardId, shard_index, status, progress, error_message }) => ({
      id: shardId,
      shard_index,
      status,
      progress,
      error_message,
    }));
}

const wantedOf = ({ shape }: z.ZodObject): Values =>
  Object.fromEntries(Object.keys(shape).map((key) => [key, true]));

function ofExtraction(row: ExtractionRow): RunView {
  return {
    ...commonOf(row),
    kind: 'embedding',
    name: null,
    purpose: row.purpose,
    collections: row.collection_names ?? [],
    progress: { done: row.processed_images ?? 0, total: row.total_images ?? 0, unit: 'images' },
  };
}

function ofTraining(row: TrainingRow): RunView {
  return {
    ...commonOf(row),
    kind: 'classification',
    name: row.name,
    purpose: null,
    collections: [],
    progress: { done: row.current_epoch ?? 0, total: row.total_epochs ?? 0, unit: 'epochs' },
  };
}

function commonOf(row: ExtractionRow | TrainingRow) {
  const { id, status, created_at, started_at, completed_at, error_message: error, runpod_job_id } = row;
  const error_message = error === null ? null : redact(error);
  const common = { id, status, created_at, started_at, completed_at, error_message, runpod_job_id };
  const { shard_count = null, parent_job_id = null, shard_index = null } = 'purpose' in row ? row : {};
  return { ...common, shard_count, parent_id: parent_job_id, shard_index };
}
