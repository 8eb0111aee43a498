import { z } from 'zod';

import type { InputIssue } from '../../base/errors.ts';
import { EMBEDDING_FIELDS } from '../../embedding/input.ts';
import { text, uuid, wholeNumber } from '../../job/fields.ts';

const JOB = EMBEDDING_FIELDS.shape;
const MAX_DIM = 65_536;
const MAX_NAME_CHARS = 100;
const NAME = `expected a name of 1 to ${MAX_NAME_CHARS} characters`;

/** Which model: the active one, a row of `embedding_models`, or one that is said in full, such as a trained checkpoint. */
export const MODEL_CHOICE = z.object(
  {
    active: z
      .literal(true, { error: 'expected true, or another way to say the model' })
      .optional()
      .describe('The active model: the row of embedding_models that is_matching_active marks. The default.'),
    id: uuid()
      .optional()
      .describe('A row of embedding_models. Beside model_type: the id that is written into rows.'),
    model_type: JOB.model_type
      .unwrap()
      .optional()
      .describe('A model that is said in full: its kind. With embedding_dim.'),
    checkpoint_url: JOB.checkpoint_url
      .unwrap()
      .optional()
      .describe("With model_type: the .onnx file of a trained model. Absent: the kind's own weights."),
    embedding_dim: wholeNumber(1, MAX_DIM).optional().describe("With model_type: its vectors' length."),
    name: text('a name')
      .max(MAX_NAME_CHARS, { error: NAME })
      .optional()
      .describe('With model_type: stands for {model} in the names of collections.'),
  },
  { error: 'expected an object: {"active": true}, {"id": ...} or {"model_type": ..., "embedding_dim": ...}' },
);
export type ModelChoice = z.infer<typeof MODEL_CHOICE>;

/** Ways to say the model that do not go together. */
export function modelIssues(model: ModelChoice): InputIssue[] {
  const issues: InputIssue[] = [];
  const say = (key: keyof ModelChoice, message: string): void => {
    issues.push({ key: `model.${key}`, message });
  };
  const isWhole = model.model_type !== undefined;
  if (model.active === true && (model.id !== undefined || isWhole))
    say('active', `is given beside ${isWhole ? 'model_type' : 'id'}; expected one of the two`);
  if (isWhole) {
    if (model.embedding_dim === undefined)
      say('embedding_dim', "is missing; expected the length of the model's vectors, beside model_type");
    return issues;
  }
  if (model.checkpoint_url !== undefined)
    say('model_type', 'is missing; expected the kind of model that checkpoint_url holds');
  for (const key of ['embedding_dim', 'name'] as const) {
    if (model[key] !== undefined) say(key, 'is read beside model_type alone; leave it out');
  }
  return issues;
}
