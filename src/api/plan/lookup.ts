import { z } from 'zod';

import type { VectorStore } from '../../qdrant/store.ts';
import type { Database, Filter } from '../../supabase/database.ts';

/** A row of `embedding_models`. */
export interface ModelRow {
  id: string;
  name: string;
  model_type: string;
  embedding_dim: number;
  checkpoint_url: string | null;
}

/** A row of `cls_datasets`, and how many active classes it has. */
export interface LabelledDataset {
  name: string;
  task_type: string;
  classes: number;
}

/** What a request's meaning depends on besides itself. Each is asked anew: nothing is remembered. */
export interface Lookup {
  model(id: string): Promise<ModelRow | undefined>;
  /** The rows that are marked as active: one, where all is well. */
  activeModels(): Promise<ModelRow[]>;
  /** A row of `datasets`. */
  dataset(id: string): Promise<{ name: string } | undefined>;
  labelledDataset(id: string): Promise<LabelledDataset | undefined>;
  /** A collection of the vector store, or what an alias names; null where there is none. */
  collection(name: string): Promise<{ size: number } | null>;
}

const MODEL = z.object({
  id: z.string(),
  name: z.string(),
  model_type: z.string(),
  embedding_dim: z.number(),
  checkpoint_url: z.string().nullable(),
});
const MODEL_COLUMNS = Object.keys(MODEL.shape).join(',');
const NAME = z.object({ name: z.string() });
const DATASET = z.object({ name: z.string(), task_type: z.string() });
const ID = z.object({ id: z.string() });

const idIs = (id: string): Filter[] => [{ column: 'id', op: 'eq', value: id }];

/** Asks the two stores. Throws what they throw. */
export function createLookup(
  { database, store }: { database: Database; store: Pick<VectorStore, 'inspect'> },
  signal?: AbortSignal,
): Lookup {
  const find = <T>(table: string, columns: string, schema: z.ZodType<T>, id: string) =>
    database.find({ table, columns, schema, filters: idIs(id), signal });
  const models = { table: 'embedding_models', columns: MODEL_COLUMNS, schema: MODEL, signal };
  return {
    model: (id) => find('embedding_models', MODEL_COLUMNS, MODEL, id),
    activeModels: async () => {
      const filters: Filter[] = [{ column: 'is_matching_active', op: 'eq', value: true }];
      return (await Array.fromAsync(database.pages({ ...models, filters }))).flat();
    },
    dataset: (id) => find('datasets', 'name', NAME, id),
    async labelledDataset(id) {
      const row = await find('cls_datasets', 'name,task_type', DATASET, id);
      if (row === undefined) return undefined;
      const filters: Filter[] = [
        { column: 'dataset_id', op: 'eq', value: id },
        { column: 'is_active', op: 'eq', value: true },
      ];
      const pages = database.pages({ table: 'cls_classes', columns: 'id', schema: ID, filters, signal });
      let classes = 0;
      for await (const page of pages) classes += page.length;
      return { ...row, classes };
    },
    collection: (name) => store.inspect(name, signal),
  };
}
