import { z } from 'zod';

import { CLASSIFICATION_FIELDS, TRAINING_CONFIG } from '../../classification/input.ts';
import { text, uuid } from '../../job/fields.ts';
import { requestKind, type RequestKind } from './request-kind.ts';

const JOB = CLASSIFICATION_FIELDS.shape;
const MAX_NAME_CHARS = 200;

const CLASSIFICATION = z.object(
  {
    name: text('a name of 1 to 200 characters')
      .max(MAX_NAME_CHARS, { error: 'expected a name of 1 to 200 characters' })
      .optional()
      .describe('How the run is called on the page. Default: {dataset} {model_name}.'),
    dataset_id: uuid().describe('Row of cls_datasets: what to train with.'),
    config: TRAINING_CONFIG.prefault({}).describe('How to train.'),
    resume_from: JOB.resume_from,
    api_url: JOB.api_url.describe('Told by the worker when the run is completed.'),
  },
  { error: 'expected an object' },
);
export type ClassificationRequest = z.infer<typeof CLASSIFICATION>;

export const CLASSIFICATION_REQUEST: RequestKind<ClassificationRequest> = requestKind({
  name: 'ClassificationRequest',
  schema: CLASSIFICATION,
});
