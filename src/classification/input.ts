import { InputError, type InputIssue } from '../base/errors.ts';
import { inputJsonSchema, unknownKeys, type JsonSchema } from '../base/json-schema.ts';
import { parseInput } from '../base/parse-input.ts';
import { pairIssue } from '../job/pairs.ts';
import { WITHOUT_MEANING } from './input-config.ts';
import { effectiveLoading } from './input-loading.ts';
import { CLASSIFICATION_FIELDS, type ClassificationInput, type LegacyDataset } from './input-schema.ts';

export { TRAINING_CONFIG } from './input-config.ts';
export { CLASSIFICATION_FIELDS } from './input-schema.ts';
export type { ClassificationInput, LegacyDataset } from './input-schema.ts';

/** A job's input as JSON Schema (draft 2020-12): every key by itself. */
export const CLASSIFICATION_INPUT_JSON_SCHEMA: JsonSchema = inputJsonSchema(CLASSIFICATION_FIELDS, {
  $id: 'urn:gpu-handlers:classification-input',
  title: 'Classification training: job input',
});

/**
 * The job's input, checked: null is absent at every depth, defaults are filled in, ids are in lower case, unknown keys
 * are named in `unknownKeys`, and those that change nothing here in `meaningless`.
 * @throws InputError that names every faulty key and what was expected; never a secret's value.
 */
export function parseClassificationInput(value: unknown): ClassificationInput {
  const { data_loading, preload_config, ...fields } = parseInput(CLASSIFICATION_FIELDS, value);
  const issues = [
    ...runIssues(fields),
    ...datasetIssues(fields),
    ...pairIssue(fields, ['supabase_url', 'supabase_key']),
  ];
  if (issues.length > 0) throw new InputError(issues);
  return {
    ...fields,
    loading: effectiveLoading(fields.config, { data_loading, preload_config }),
    meaningless: meaninglessKeys(fields.config, [fields.config.data_loading, data_loading]),
    unknownKeys: unknownKeys(value, CLASSIFICATION_INPUT_JSON_SCHEMA),
  };
}

/** A run without a row has its images in the job, and nobody to tell: all others have an id. */
function runIssues({ training_run_id: runId, dataset, dataset_id, api_url }: RunFields): InputIssue[] {
  const isAlone = dataset !== undefined && dataset_id === undefined && api_url === undefined;
  if (runId !== undefined || isAlone) return [];
  return [{ key: 'training_run_id', message: 'is missing; expected a uuid' }];
}

interface RunFields {
  training_run_id?: string | undefined;
  dataset?: LegacyDataset | undefined;
  dataset_id?: string | undefined;
  api_url?: string | undefined;
}

/** Faults that one error names of a list; the first ones tell what is wrong with the others. */
const MAX_LABEL_ISSUES = 10;

function datasetIssues({ dataset_id, dataset }: RunFields): InputIssue[] {
  if (dataset_id === undefined && dataset === undefined) {
    return [{ key: 'dataset_id', message: 'is missing; expected a uuid, or a list of images in dataset' }];
  }
  if (dataset === undefined) return [];
  const classes = dataset.class_names.length;
  return (['train_urls', 'val_urls'] as const)
    .flatMap((list) =>
      dataset[list].flatMap(({ label }, i) =>
        label < classes ? [] : [{ key: `dataset.${list}[${i}].label`, message: outside(label, classes) }],
      ),
    )
    .slice(0, MAX_LABEL_ISSUES);
}

function outside(label: number, classes: number): string {
  return `expected a position in class_names, which has ${classes}, found ${label}`;
}

function meaninglessKeys(
  config: ClassificationInput['config'],
  loadings: readonly ClassificationInput['config']['data_loading'][],
): string[] {
  const keys = Object.entries(WITHOUT_MEANING)
    .filter(([key]) => config[key as keyof typeof WITHOUT_MEANING] !== undefined)
    .map(([key, why]) => `${key} (${why})`);
  const pinned = loadings.some((loading) => loading?.dataloader?.pin_memory !== undefined);
  return pinned ? [...keys, 'pin_memory (batches are in plain memory)'] : keys;
}
