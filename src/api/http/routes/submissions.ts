import { z } from 'zod';

import { planClassification } from '../../plan/plan-classification.ts';
import { planExtraction } from '../../plan/plan-extraction.ts';
import { CLASSIFICATION_REQUEST } from '../../requests/classification.ts';
import { EXTRACTION_REQUESTS, type ExtractionRequest, type Purpose } from '../../requests/extraction.ts';
import type { RequestKind } from '../../requests/request-kind.ts';
import { RUN_KIND_NAMES } from '../../runs/run-kinds.ts';
import { submitClassification, submitExtraction, type SubmittedRun } from '../../runs/submit.ts';
import type { ApiParts } from '../parts.ts';
import { CLASSIFICATION_EXAMPLES, EXTRACTION_EXAMPLES } from './examples.ts';
import { answerSchema, defineRoute, type Reply, type Route } from '../route.ts';

const SUBMITTED = answerSchema(
  'SubmittedRun',
  z.object({
    id: z.string().describe('Of the row, and of the run in every other route.'),
    kind: z.enum(RUN_KIND_NAMES),
    runpod_job_id: z.string().nullable().describe('Null where the run is divided: its shards have jobs.'),
    shards: z
      .object({ count: z.number(), submitted: z.number() })
      .nullable()
      .describe('Jobs that the run was divided into, and how many of them RunPod has taken.'),
    collections: z.array(z.string()).describe('What is filled, by the names that searches use.'),
  }),
);

const SUMMARIES: Readonly<Record<Purpose, string>> = {
  matching: 'Embed products and cutouts, each into a collection of its own',
  training: 'Embed what a training reads, products with their matched cutouts, into one collection',
  evaluation: 'Embed the products of a dataset into one collection',
  production: 'Embed products into the collection that production searches',
};

export function submissionRoutes(parts: ApiParts): Route[] {
  const { runs, lookup } = parts;
  const extraction = (purpose: Purpose): Route => {
    const body: RequestKind<ExtractionRequest> = EXTRACTION_REQUESTS[purpose];
    return defineRoute({
      ...SUBMISSION,
      path: `/v1/jobs/${purpose}`,
      operationId: `submit${purpose[0]?.toUpperCase() ?? ''}${purpose.slice(1)}`,
      summary: SUMMARIES[purpose],
      shape: { body },
      examples: EXTRACTION_EXAMPLES[purpose],
      async run({ body: request, signal }) {
        const plan = await planExtraction(request, { lookup: lookup(signal) });
        return submittedReply(await submitExtraction(runs, plan), plan.collections);
      },
    });
  };
  const classification = defineRoute({
    ...SUBMISSION,
    path: '/v1/jobs/classification',
    operationId: 'submitClassification',
    summary: 'Train a classifier on a labelled dataset',
    shape: { body: CLASSIFICATION_REQUEST },
    examples: CLASSIFICATION_EXAMPLES,
    async run({ body, signal }) {
      const plan = await planClassification(body, { lookup: lookup(signal) });
      return submittedReply(await submitClassification(runs, plan), []);
    },
  });
  return [...(Object.keys(SUMMARIES) as Purpose[]).map(extraction), classification];
}

const SUBMISSION = {
  method: 'POST',
  tag: 'Submitting',
  success: { status: 202, description: 'The run has a row, and RunPod has its job.', schema: SUBMITTED },
} as const;

export function submittedReply(run: SubmittedRun, collections: readonly string[]): Reply {
  return { body: { ...run, collections }, headers: { location: `/v1/jobs/${run.id}` } };
}

export { SUBMITTED };
