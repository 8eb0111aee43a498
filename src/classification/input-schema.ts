import { z } from 'zod';

import { address, imageUrl, secretKey, text, uuid, wholeNumber } from '../job/fields.ts';
import { TRAINING_CONFIG } from './input-config.ts';
import { LOADING_FIELDS, type DataLoading } from './input-loading.ts';

const OBJECT = { error: 'expected an object' };
const IMAGES = { error: 'expected a list of images with their labels' };

const LABELLED_IMAGE = z.object(
  {
    url: imageUrl().describe('Where the picture is: http(s), data:, or a storage path.'),
    label: wholeNumber(0).describe('Its class: a position in class_names.'),
  },
  OBJECT,
);

const LEGACY_DATASET = z.object(
  {
    train_urls: z.array(LABELLED_IMAGE, IMAGES).default([]).describe('Images to train with.'),
    val_urls: z
      .array(LABELLED_IMAGE, IMAGES)
      .default([])
      .describe('Images to validate with; none: a part of train_urls is.'),
    class_names: z
      .array(text('a class name'), { error: 'expected a list of class names' })
      .describe("The classes' names, by label."),
  },
  OBJECT,
);
export type LegacyDataset = z.infer<typeof LEGACY_DATASET>;

/** The job's keys, each by itself; what holds between them is input-checks.ts. */
export const CLASSIFICATION_FIELDS = z.object(
  {
    training_run_id: uuid().describe('Row of cls_training_runs.'),
    dataset_id: uuid().optional().describe('Row of cls_datasets: what to train with.'),
    dataset: LEGACY_DATASET.optional().describe('The images themselves; used where dataset_id is absent.'),
    config: TRAINING_CONFIG.prefault({}).describe('How to train.'),
    ...LOADING_FIELDS,
    resume_from: text('an earlier run, or a checkpoint')
      .optional()
      .describe("An earlier run's id, or its checkpoint as a storage path or an http(s) address."),
    api_url: address().optional().describe('Told when the run is completed.'),
    supabase_url: address().optional().describe('With supabase_key; else both from the environment.'),
    supabase_key: secretKey().optional().describe('Secret.'),
    hf_token: secretKey().optional().describe("Secret. The model hub's token; else the environment's."),
  },
  OBJECT,
);

type ClassificationFields = z.infer<typeof CLASSIFICATION_FIELDS>;

/** A job's input, checked: defaults are filled in, ids are in lower case, nulls are gone. */
export interface ClassificationInput extends Omit<ClassificationFields, 'data_loading' | 'preload_config'> {
  /** What holds of all that the job says about loading. */
  loading: DataLoading;
  /** Keys that were given and change nothing here, each with why; for one warning. */
  meaningless: string[];
  /** Paths of keys that mean nothing here; for one debug line. */
  unknownKeys: string[];
}
