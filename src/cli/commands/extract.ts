import type { ExtractionRequest } from '../../api/requests/extraction.ts';
import type { RequestKind } from '../../api/requests/request-kind.ts';
import { defineCommand } from '../command.ts';
import { fieldsOf } from '../fields.ts';
import { SUBMIT_OPTIONS } from '../options.ts';
import { inOptionWords, readRequest } from '../request.ts';

export const extract = defineCommand({
  name: 'extract',
  summary: 'Embed images: products, cutouts, or both, into collections',
  details:
    'Every field of a request is an option; docs/api.md says what they mean together. The model is the active one unless --model.id or --model.model-type names another.',
  positionals: {
    purpose: {
      about: 'What the vectors are for.',
      values: ['matching', 'training', 'evaluation', 'production'],
    },
  },
  options: SUBMIT_OPTIONS,
  fields: async () => {
    const { EXTRACTION_REQUESTS } = await import('../../api/requests/extraction.ts');
    const fields = fieldsOf(...Object.values(EXTRACTION_REQUESTS).map(({ jsonSchema }) => jsonSchema));
    return fields.filter(({ name }) => name !== 'purpose');
  },
  examples: [
    'extract matching --follow',
    'extract matching --product-source selected --product-ids ID,ID --collection-mode append',
    'extract production --product-source filter --product-filter category=drinks --dry-run',
  ],
  async run({ args: { purpose }, options, body, fields, io, signal }) {
    const { EXTRACTION_REQUESTS } = await import('../../api/requests/extraction.ts');
    const kind: RequestKind<ExtractionRequest> = EXTRACTION_REQUESTS[purpose];
    const request = await readRequest(kind, { options, body, fields });
    const { extractionInput, planExtraction } = await import('../../api/plan/plan-extraction.ts');
    const { createLookup } = await import('../../api/plan/lookup.ts');
    const { submitExtraction } = await import('../../api/runs/submit.ts');
    const { NO_RUN, submitRun } = await import('../submit.ts');
    return submitRun({
      kind: 'embedding',
      options,
      io,
      signal,
      async plan({ stores, runs }) {
        const lookup = createLookup(stores(), signal);
        const plan = await inOptionWords(fields, () => planExtraction(request, { lookup }));
        return {
          input: extractionInput(plan, NO_RUN),
          collections: plan.collections,
          submit: () => submitExtraction(runs, plan),
        };
      },
    });
  },
});
