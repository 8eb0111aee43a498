import { z } from 'zod';

import { oneOf, uuid } from '../../../job/fields.ts';
import { cancelRun } from '../../runs/cancel.ts';
import { listFailures, FAILURE } from '../../runs/failures.ts';
import { retryFailed } from '../../runs/retry-failed.ts';
import { RUN_KIND_NAMES, RUN_KINDS, END_STATES } from '../../runs/run-kinds.ts';
import { listRuns, RUN_DETAILS, RUN_VIEW } from '../../runs/run-view.ts';
import { cursorParam, decodeCursor, encodeCursor, limitParam, NUMBER_PLACE, ROW_PLACE } from '../cursor.ts';
import type { ApiParts } from '../parts.ts';
import { answerSchema, defineRoute, type Route } from '../route.ts';
import { SUBMITTED, submittedReply } from './submissions.ts';

const MAX_LISTED = 200;
const LISTED = 50;
const STATES = [
  ...new Set([...Object.values(RUN_KINDS).flatMap(({ unfinished }) => unfinished), ...END_STATES]),
];

const next = z.string().nullable().describe('For the next list; null: there is no more.');
const RUN_LIST = answerSchema('RunList', z.object({ items: z.array(RUN_VIEW), next_cursor: next }));
const FAILURE_LIST = answerSchema('FailureList', z.object({ items: z.array(FAILURE), next_cursor: next }));
const DETAILS = answerSchema('RunDetails', RUN_DETAILS);
const CANCELLED = answerSchema(
  'CancelledRun',
  z.object({
    id: z.string(),
    kind: z.enum(RUN_KIND_NAMES),
    status: z.literal('cancelled'),
    ended_at_runpod: z
      .boolean()
      .describe('False: RunPod was not told of all jobs; their workers see the row, and stop by themselves.'),
  }),
);

const byId = z.object({ id: uuid().describe('The run.') });
const shareParam = () =>
  z
    .string()
    .regex(/^(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?)$/, { error: 'expected a number from 0 to 1, such as 0.05' })
    .transform(Number)
    .optional();
const codeParam = () =>
  z.string().regex(/^[a-z0-9_]{1,100}$/, { error: 'expected a code, such as http_404' });
const yesOrNoParam = () =>
  oneOf(['true', 'false'])
    .transform((value) => value === 'true')
    .optional();

export function jobRoutes({ database, runs, reader }: ApiParts): Route[] {
  const list = defineRoute({
    method: 'GET',
    path: '/v1/jobs',
    operationId: 'listJobs',
    tag: 'Runs',
    summary: 'Runs, newest first',
    shape: {
      query: z.object({
        kind: oneOf(RUN_KIND_NAMES).optional().describe('Only of this kind.'),
        status: oneOf(STATES).optional().describe('Only in this state.'),
        parent: uuid().optional().describe('Only the shards of this run; otherwise shards are not listed.'),
        limit: limitParam(MAX_LISTED, LISTED),
        cursor: cursorParam(),
      }),
    },
    success: { status: 200, description: 'A list, and where it goes on.', schema: RUN_LIST },
    async run({ query: { cursor, limit, ...only }, signal }) {
      const after = decodeCursor(ROW_PLACE, cursor);
      const items = await listRuns(database, { ...only, limit, after, signal });
      const last = items.at(-1);
      const isFull = items.length === limit && last !== undefined;
      const next_cursor = isFull ? encodeCursor({ created_at: last.created_at, id: last.id }) : null;
      return { body: { items, next_cursor } };
    },
  });
  const one = defineRoute({
    method: 'GET',
    path: '/v1/jobs/{id}',
    operationId: 'getJob',
    tag: 'Runs',
    summary: 'One run, and what came of it',
    shape: { params: byId },
    success: { status: 200, description: 'The run.', schema: DETAILS },
    problems: [404],
    run: async ({ params, signal }) => ({ body: await reader.read(params.id, signal) }),
  });
  const cancel = defineRoute({
    method: 'POST',
    path: '/v1/jobs/{id}/cancel',
    operationId: 'cancelJob',
    tag: 'Runs',
    summary: 'Cancel a run: its row, then its job at RunPod, or those of all its shards',
    shape: { params: byId },
    success: { status: 200, description: 'It is cancelled, now or already.', schema: CANCELLED },
    problems: [404, 409],
    run: async ({ params }) => ({ body: await cancelRun(runs, params.id) }),
  });
  const retry = defineRoute({
    method: 'POST',
    path: '/v1/jobs/{id}/retry-failed',
    operationId: 'retryFailedImages',
    tag: 'Runs',
    summary: 'Run again what failed, and nothing else: shards, or else images',
    description:
      'A run that was to build collections anew, and has not switched to them, goes on: with what it lacks, to its switch.',
    shape: {
      params: byId,
      query: z.object({
        max_failed_share: shareParam().describe(
          'Of such a run: so many images may have failed, as a part of all, in the place of what it was submitted with.',
        ),
      }),
    },
    success: {
      status: 202,
      description: 'The same run where shards go on, or a run of its own for images.',
      schema: SUBMITTED,
    },
    problems: [404, 409],
    run: async ({ params, query: { max_failed_share: maxFailedShare } }) => {
      const run = await retryFailed(runs, params.id, { maxFailedShare });
      return submittedReply(run, run.collections);
    },
  });
  const failures = defineRoute({
    method: 'GET',
    path: '/v1/jobs/{id}/failures',
    operationId: 'listFailures',
    tag: 'Runs',
    summary: 'Images of a run that failed, and why',
    shape: {
      params: byId,
      query: z.object({
        code: codeParam().optional().describe('Only with this code: docs/failure-codes.md.'),
        retryable: yesOrNoParam().describe('Only those that could succeed another time, or could not.'),
        limit: limitParam(MAX_LISTED, LISTED),
        cursor: cursorParam(),
      }),
    },
    success: { status: 200, description: 'A list, and where it goes on.', schema: FAILURE_LIST },
    problems: [404],
    async run({ params, query: { cursor, limit, ...only }, signal }) {
      const isWhole = (await reader.read(params.id, signal)).shard_count !== null;
      const after = decodeCursor(NUMBER_PLACE, cursor)?.id;
      const page = { jobId: params.id, isWhole, ...only, limit, after, signal };
      const items = await listFailures(database, page);
      const last = items.at(-1);
      const next_cursor = items.length === limit && last !== undefined ? encodeCursor({ id: last.id }) : null;
      return { body: { items, next_cursor } };
    },
  });
  return [list, one, cancel, retry, failures];
}
