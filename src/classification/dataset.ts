import { HandlerError } from '../base/errors.ts';
import { storageOf } from '../job/stored-file.ts';
import type { Database } from '../supabase/database.ts';
import { readRows } from './dataset-rows.ts';
import type { ClassificationInput, LegacyDataset } from './input.ts';
import { noneLeftOut, type Dataset, type Sample } from './sample.ts';

/** Rows of a dataset are held in memory: an id and a url each. */
export interface ReadOptions {
  input: Pick<ClassificationInput, 'dataset_id' | 'dataset'>;
  database: Database;
  warn: (message: string) => void;
  signal: AbortSignal;
}

/**
 * What a job trains with. `dataset_id` wins where both forms are given.
 * @throws HandlerError `dataset_not_found`, `multi_label_unsupported`, `too_few_classes`, `no_images`, each saying
 * what is missing; StoreError where reading fails.
 */
export async function readDataset({ input, database, warn, signal }: ReadOptions): Promise<Dataset> {
  const { dataset_id: id, dataset: legacy } = input;
  let dataset: Dataset;
  if (id !== undefined) {
    if (legacy !== undefined) warn('both dataset_id and dataset are given: dataset_id is used');
    dataset = await readRows({ id, database, warn, signal });
  } else {
    dataset = ofJob(legacy ?? { class_names: [], train_urls: [], val_urls: [] });
  }
  refuseUseless(dataset);
  return dataset;
}

function ofJob({ class_names: classNames, train_urls, val_urls }: LegacyDataset): Dataset {
  const samples = (['train', 'val'] as const).flatMap((split) =>
    (split === 'train' ? train_urls : val_urls).map(({ url, label }, i): Sample => {
      // Without a list of their own, images to validate with are taken out of the others.
      const assigned = val_urls.length === 0 ? null : split;
      return { id: `${split}_urls[${i}]`, url, storage: storageOf(url), label, assigned };
    }),
  );
  return { name: 'the dataset of the job', classNames, samples, leftOut: noneLeftOut() };
}

/** What no image could mend, before any is fetched. */
function refuseUseless({ name, classNames, samples, leftOut }: Dataset): void {
  const [only] = classNames;
  if (classNames.length < 2) {
    const has = only === undefined ? 'no active class' : `one active class, ${only}`;
    throw new HandlerError('too_few_classes', `${name} has ${has}: training needs at least two`);
  }
  if (samples.length > 0) return;
  const why = [
    leftOut.inactive_class > 0 ? `${leftOut.inactive_class} labels are of classes that are not active` : '',
    leftOut.contradicting > 0 ? `${leftOut.contradicting} images carry labels of several classes` : '',
  ].filter((reason) => reason !== '');
  throw new HandlerError(
    'no_images',
    `${name} has ${classNames.length} classes and no labelled image${why.length === 0 ? '' : ` (${why.join('; ')})`}: ` +
      'training needs images of at least two classes',
  );
}
