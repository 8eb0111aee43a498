import { defineCommand } from '../command.ts';
import { fieldsOf } from '../fields.ts';
import { SUBMIT_OPTIONS } from '../options.ts';
import { inOptionWords, readRequest } from '../request.ts';

export const train = defineCommand({
  name: 'train',
  summary: 'Train a classifier on a labelled dataset',
  details: 'Every field of a request is an option; docs/classification.md says what they mean.',
  options: SUBMIT_OPTIONS,
  fields: async () => {
    const { CLASSIFICATION_REQUEST } = await import('../../api/requests/classification.ts');
    return fieldsOf(CLASSIFICATION_REQUEST.jsonSchema);
  },
  examples: [
    'train --dataset-id ID --config.model-name vit_base_patch16_224 --config.epochs 10 --follow',
    'train --request run.json --set config.seed=7',
  ],
  async run({ options, body, fields, io, signal }) {
    const { CLASSIFICATION_REQUEST } = await import('../../api/requests/classification.ts');
    const request = await readRequest(CLASSIFICATION_REQUEST, { options, body, fields });
    const { classificationInput, planClassification } = await import('../../api/plan/plan-classification.ts');
    const { createLookup } = await import('../../api/plan/lookup.ts');
    const { submitClassification } = await import('../../api/runs/submit.ts');
    const { NO_RUN, submitRun } = await import('../submit.ts');
    return submitRun({
      kind: 'classification',
      options,
      io,
      signal,
      async plan({ database, runs }) {
        // No collection is asked for.
        const store = { inspect: () => Promise.resolve(null) };
        const lookup = createLookup({ database, store }, signal);
        const plan = await inOptionWords(fields, () => planClassification(request, { lookup }));
        return {
          input: classificationInput(plan, NO_RUN),
          collections: [],
          submit: () => submitClassification(runs, plan),
        };
      },
    });
  },
});
