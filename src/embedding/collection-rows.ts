import { z } from 'zod';

import { messageOf, StoreError } from '../base/errors.ts';
import type { VectorStore } from '../qdrant/store.ts';
import type { Database, Filter } from '../supabase/database.ts';
import { countOf } from './collections.ts';
import type { EmbeddingInput } from './input.ts';
import type { CollectionTally } from './tally.ts';

export interface CollectionRowsOptions {
  database: Database;
  store: VectorStore;
  input: EmbeddingInput;
  embeddingModelId: string | undefined;
  warn: (message: string) => void;
  signal: AbortSignal;
}

type Row = Record<string, unknown>;

const TABLE = 'embedding_collections';
const CHECK_VIOLATION = '23514';
const FOREIGN_KEY_VIOLATION = '23503';

/**
 * Writes a row of `embedding_collections` for each collection of the job that holds anything, and the model's vector
 * count, both as the store counts them. Never fails a job whose vectors are stored: what a database refuses is written as the nearest
 * value it allows, or becomes a warning.
 */
export async function writeCollectionRows(
  collections: ReadonlyMap<string, CollectionTally>,
  options: CollectionRowsOptions,
): Promise<void> {
  const counts = new Map<string, number | undefined>();
  for (const [name, tally] of collections) {
    const count = await countOf(options.store, name, options.warn, options.signal);
    if (count === 0) continue;
    counts.set(name, count);
    await writeRow(rowOf(name, count, options), nearestType(name, tally, options.input), options);
  }
  if (options.embeddingModelId !== undefined)
    await writeModelCount(options.embeddingModelId, counts, options);
}

function rowOf(
  name: string,
  count: number | undefined,
  { input, embeddingModelId }: CollectionRowsOptions,
): Row {
  const metadata = input.collection_metadata ?? {};
  const source = input.source_config;
  const now = new Date().toISOString();
  return withoutAbsent({
    name,
    collection_type: metadata.collection_type ?? input.purpose,
    source_type: metadata.source_type ?? source?.filters.product_source,
    source_dataset_id: metadata.source_dataset_id ?? source?.filters.product_dataset_id,
    embedding_model_id: embeddingModelId,
    image_types: metadata.image_types ?? source?.filters.image_types,
    product_collection: metadata.product_collection ?? source?.product_collection,
    cutout_collection: metadata.cutout_collection ?? source?.cutout_collection,
    frame_selection: metadata.frame_selection ?? source?.frame_selection,
    vector_count: count,
    last_sync_at: now,
    updated_at: now,
  });
}

/** What a collection is for, as far as the job says; else what it was given. */
function nearestType(
  name: string,
  tally: CollectionTally,
  { source_config: source }: EmbeddingInput,
): string {
  const targets = { products: source?.product_collection, cutouts: source?.cutout_collection };
  if (targets.products !== targets.cutouts) {
    if (name === targets.cutouts) return 'cutouts';
    if (name === targets.products) return 'products';
  }
  return tally.cutout > tally.product ? 'cutouts' : 'products';
}

/** Writes the row, giving way column by column where the database's constraints are narrower than ours. */
async function writeRow(
  row: Row,
  nearest: string,
  { database, warn, signal }: CollectionRowsOptions,
): Promise<void> {
  const giveWay: Readonly<Record<string, Row>> = {
    [CHECK_VIOLATION]: { collection_type: nearest, source_type: null },
    [FOREIGN_KEY_VIOLATION]: { embedding_model_id: null, source_dataset_id: null },
  };
  const name = String(row.name);
  // Each round changes one column, so it ends after as many rounds as there are columns.
  for (let current = row; ;) {
    try {
      await upsertOrUpdate(database, current, nearest, signal);
      return;
    } catch (error) {
      const next = error instanceof StoreError ? concede(current, error, giveWay) : undefined;
      warn(
        next === undefined
          ? `the row of collection ${name} was not written: ${messageOf(error)}`
          : `${TABLE}.${next.column} of ${name} is written as ${String(next.value)}: ${messageOf(error)}`,
      );
      if (next === undefined) return;
      current = next.row;
    }
  }
}

/** A job that does not say of which type its collection is leaves the type that is there. */
async function upsertOrUpdate(
  database: Database,
  row: Row,
  nearest: string,
  signal: AbortSignal,
): Promise<void> {
  if (row.collection_type === undefined) {
    const { name, ...values } = row;
    const filters: Filter[] = [{ column: 'name', op: 'eq', value: String(name) }];
    if ((await database.update({ table: TABLE, values, filters, signal })) > 0) return;
  }
  await database.upsert({
    table: TABLE,
    rows: [{ collection_type: nearest, ...row }],
    onConflict: 'name',
    signal,
  });
}

function concede(
  row: Row,
  error: StoreError,
  giveWay: Readonly<Record<string, Row>>,
): { column: string; value: unknown; row: Row } | undefined {
  if (error.code === 'supabase_missing_column') {
    const column = Object.keys(row).find(
      (key) => key !== 'name' && new RegExp(`\\b${key}\\b`).test(error.message),
    );
    if (column === undefined) return undefined;
    const { [column]: _, ...rest } = row;
    return { column, value: 'absent', row: rest };
  }
  const open = Object.entries(giveWay[error.storeCode ?? ''] ?? {}).filter(
    ([key, value]) => row[key] !== undefined && row[key] !== value,
  );
  const [column, value] = open.find(([key]) => error.message.includes(key)) ?? open[0] ?? [];
  if (column === undefined) return undefined;
  if (value !== null) return { column, value, row: { ...row, [column]: value } };
  // Left out rather than emptied: a new row has none, and one that is there keeps what it has.
  const { [column]: _, ...rest } = row;
  return { column, value: 'it is, or not at all', row: rest };
}

/** A model's vectors are those in all its collections, this job's and those that earlier jobs wrote. */
async function writeModelCount(
  modelId: string,
  counts: ReadonlyMap<string, number | undefined>,
  { database, store, warn, signal }: CollectionRowsOptions,
): Promise<void> {
  try {
    const all = new Map(counts);
    const rows = database.pages({
      table: TABLE,
      columns: 'id,name',
      schema: z.object({ id: z.string(), name: z.string() }),
      filters: [{ column: 'embedding_model_id', op: 'eq', value: modelId }],
      signal,
    });
    for await (const page of rows) {
      for (const { name } of page) {
        if (!all.has(name)) all.set(name, await countOf(store, name, warn, signal));
      }
    }
    let total = 0;
    for (const [name, count] of all) {
      if (count === undefined) throw new Error(`the points of ${name} could not be counted`);
      total += count;
    }
    const changed = await database.update({
      table: 'embedding_models',
      values: { qdrant_vector_count: total },
      filters: [{ column: 'id', op: 'eq', value: modelId }],
      signal,
    });
    if (changed === 0) warn(`embedding_models has no row ${modelId}: its vector count is not written`);
  } catch (error) {
    warn(`the vector count of model ${modelId} was not written: ${messageOf(error)}`);
  }
}

function withoutAbsent(row: Row): Row {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined));
}
