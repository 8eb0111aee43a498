import { z } from 'zod';

import { HandlerError, StoreError } from '../base/errors.ts';
import { storageOf } from '../job/stored-file.ts';
import type { Database, Filter } from '../supabase/database.ts';
import { noneLeftOut, type Dataset, type LeftOut, type Sample, type Split } from './sample.ts';

const DATASET = z.object({ id: z.string(), name: z.string().nullish(), task_type: z.string().nullish() });
const CLASS = z.object({ id: z.string(), name: z.string(), is_active: z.boolean().nullish() });
const LABEL = z.object({
  id: z.union([z.string(), z.number()]),
  image_id: z.string(),
  class_id: z.string(),
  cls_images: z.object({ image_url: z.string().nullish() }),
});
const ASSIGNMENT = z.object({
  id: z.union([z.string(), z.number()]),
  image_id: z.string(),
  split: z.string().nullish(),
});

/** Ids that a warning or the report names; the others are counted. */
const NAMED_IDS = 20;

export interface RowsOptions {
  id: string;
  database: Database;
  warn: (message: string) => void;
  signal: AbortSignal;
}

/** The dataset of the database, read in pages by key: whatever its size, every label once. */
export async function readRows(options: RowsOptions): Promise<Dataset> {
  const name = await readName(options);
  const classes = await readClasses(options);
  const splits = await readSplits(options);
  const leftOut = noneLeftOut();
  const labels = new Map(classes.map(({ id }, label) => [id, label]));
  const samples = await readSamples(options, { labels, splits, leftOut });
  return { name, classNames: classes.map((row) => row.name), samples, leftOut };
}

/** @throws HandlerError `dataset_not_found`, `multi_label_unsupported` */
async function readName({ id, database, signal }: RowsOptions): Promise<string> {
  const row = await database.find({
    table: 'cls_datasets',
    columns: 'id,name,task_type',
    schema: DATASET,
    filters: [{ column: 'id', op: 'eq', value: id }],
    signal,
  });
  if (row === undefined) throw new HandlerError('dataset_not_found', `cls_datasets has no row ${id}`);
  const name = `dataset ${row.name ?? id}`;
  if (row.task_type === 'multi_label') {
    throw new HandlerError(
      'multi_label_unsupported',
      `${name} has task_type multi_label: several labels an image are not built yet; only single_label is trained`,
    );
  }
  return name;
}

/** In the database's own order by name: the position is the label. */
async function readClasses({ id, database, signal }: RowsOptions): Promise<{ id: string; name: string }[]> {
  const classes = [];
  const pages = database.pages({
    table: 'cls_classes',
    columns: 'id,name,is_active',
    schema: CLASS,
    filters: inDataset(id),
    key: 'name',
    signal,
  });
  for await (const page of pages) classes.push(...page.filter((row) => row.is_active !== false));
  return classes;
}

/** Splits by image id; a dataset without the table has none assigned. */
async function readSplits({ id, database, warn, signal }: RowsOptions): Promise<Map<string, Split>> {
  const splits = new Map<string, Split>();
  try {
    const pages = database.pages({
      table: 'cls_dataset_images',
      columns: 'id,image_id,split',
      schema: ASSIGNMENT,
      filters: inDataset(id),
      signal,
    });
    for await (const page of pages) {
      for (const { image_id, split } of page) if (isSplit(split)) splits.set(image_id, split);
    }
  } catch (error) {
    const isMissing = error instanceof StoreError && /^supabase_missing_(?:table|column)$/.test(error.code);
    if (!isMissing) throw error;
    warn(`the splits of cls_dataset_images could not be read, none counts as assigned: ${error.message}`);
  }
  return splits;
}

function isSplit(split: string | null | undefined): split is Split {
  return split === 'train' || split === 'val' || split === 'test';
}

interface SampleParts {
  labels: ReadonlyMap<string, number>;
  splits: ReadonlyMap<string, Split>;
  leftOut: LeftOut;
}

async function readSamples(
  { id, database, signal }: RowsOptions,
  { labels, splits, leftOut }: SampleParts,
): Promise<Sample[]> {
  const samples = new Map<string, Sample>();
  const contradicting = new Set<string>();
  const pages = database.pages({
    table: 'cls_labels',
    columns: 'id,image_id,class_id,cls_images!inner(image_url)',
    schema: LABEL,
    filters: inDataset(id),
    signal,
  });
  for await (const page of pages) {
    for (const { image_id, class_id, cls_images } of page) {
      const label = labels.get(class_id);
      if (label === undefined) {
        leftOut.inactive_class += 1;
        continue;
      }
      const url = cls_images.image_url ?? '';
      const known = samples.get(image_id);
      if (known !== undefined && known.label !== label) contradicting.add(image_id);
      const assigned = splits.get(image_id) ?? null;
      samples.set(image_id, { id: image_id, url, storage: storageOf(url), label, assigned });
    }
  }
  for (const image of contradicting) samples.delete(image);
  leftOut.contradicting = contradicting.size;
  leftOut.contradicting_ids = [...contradicting].slice(0, NAMED_IDS);
  return [...samples.values()];
}

function inDataset(id: string): Filter[] {
  return [{ column: 'dataset_id', op: 'eq', value: id }];
}
