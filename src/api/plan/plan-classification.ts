import { InputError } from '../../base/errors.ts';
import { parseClassificationInput, type ClassificationInput } from '../../classification/input.ts';
import type { ClassificationRequest } from '../requests/classification.ts';
import { architectureOf, type Architecture } from './architecture.ts';
import { fieldAt, placeFields, to, type FieldMap, type PathOf } from './field-map.ts';
import type { Lookup } from './lookup.ts';
import type { InputCredentials } from './plan-extraction.ts';

/** A training request whose dataset is known: what to submit, and what its row says. */
export interface ClassificationPlan {
  request: ClassificationRequest;
  name: string;
  /** Active classes of the dataset. */
  classes: number;
  taskType: string;
  architecture: Architecture;
}

type TrainingPath = PathOf<Pick<ClassificationInput, 'dataset_id' | 'config' | 'resume_from' | 'api_url'>>;

/** Where each field of the request goes in the job's input. The name is the row's alone: a job has none. */
const CLASSIFICATION_FIELDS: FieldMap<Omit<ClassificationRequest, 'name'>, TrainingPath> = {
  dataset_id: to('dataset_id'),
  config: to('config'),
  resume_from: to('resume_from'),
  api_url: to('api_url'),
};

/** Below it there is nothing to tell apart. */
const MIN_CLASSES = 2;

/**
 * Finds the dataset that is to be trained with. Reads, and writes nothing.
 * @throws InputError where there is none, or none that can be trained with.
 */
export async function planClassification(
  request: ClassificationRequest,
  { lookup }: { lookup: Pick<Lookup, 'labelledDataset'> },
): Promise<ClassificationPlan> {
  const dataset = await lookup.labelledDataset(request.dataset_id);
  if (dataset === undefined) throw refused('is no dataset; expected the id of a row of cls_datasets');
  const { name, task_type: taskType, classes } = dataset;
  if (taskType === 'multi_label')
    throw refused('is a multi_label dataset, which cannot be trained with yet; expected a single_label one');
  if (classes < MIN_CLASSES)
    throw refused(`is a dataset of ${classes} active classes; expected at least ${MIN_CLASSES}`);
  return {
    request,
    name: request.name ?? `${name} ${request.config.model_name}`,
    classes,
    taskType,
    architecture: architectureOf(request.config.model_name),
  };
}

/**
 * The input of the job that does what was planned. Without credentials, unless they are given.
 * @throws InputError where the handler would refuse it, by the name of the request's field.
 */
export function classificationInput(
  { request }: ClassificationPlan,
  runId: string,
  { supabase_url: url, supabase_service_key: key, hf_token }: InputCredentials = {},
): Record<string, unknown> {
  const input = {
    training_run_id: runId,
    ...placeFields(request, CLASSIFICATION_FIELDS),
    ...(url !== undefined && { supabase_url: url, supabase_key: key }),
    ...(hf_token !== undefined && { hf_token }),
  };
  try {
    parseClassificationInput(input);
    return input;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(
      error.issues.map(({ key, message }) => ({
        key: key.includes('.') ? key : (fieldAt(key, request, CLASSIFICATION_FIELDS) ?? key),
        message,
      })),
    );
  }
}

function refused(message: string): InputError {
  return new InputError([{ key: 'dataset_id', message }]);
}
