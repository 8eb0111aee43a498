import { z } from 'zod';

import { HandlerError } from '../../../base/errors.ts';
import { oneOf, uuid } from '../../../job/fields.ts';
import { requestKind } from '../../requests/request-kind.ts';
import { RUNPOD_JOB } from '../../runpod/endpoint.ts';
import { takeWord } from '../../runs/reconcile.ts';
import { RUN_KIND_NAMES } from '../../runs/run-kinds.ts';
import { isSignatureOf } from '../../runs/webhook-signature.ts';
import type { ApiParts } from '../parts.ts';
import { answerSchema, defineRoute, type Route } from '../route.ts';

/** A result may have 20 MB, as RunPod takes it from a worker. */
const MAX_RESULT_BYTES = 21 * 2 ** 20;
const TOLD = requestKind({ name: 'RunPodJob', schema: RUNPOD_JOB, otherKeys: true });
const TAKEN = answerSchema(
  'WebhookAnswer',
  z.object({
    taken: z.boolean().describe('False: the job is not, or not any more, the one of this run.'),
  }),
);

export function webhookRoutes({ runs, webhookSecret }: ApiParts): Route[] {
  if (webhookSecret === undefined) return [];
  const route = defineRoute({
    method: 'POST',
    path: '/v1/webhooks/runpod/{kind}/{id}/{signature}',
    operationId: 'runpodWebhook',
    tag: 'RunPod',
    summary: 'What RunPod calls when a job has ended',
    description:
      'The address of a run, made of API_WEBHOOK_SECRET and given to RunPod with its job: no key is asked for, the signature is one.',
    isOpen: true,
    shape: {
      params: z.object({
        kind: oneOf(RUN_KIND_NAMES).describe('Of the run.'),
        id: uuid().describe('The run.'),
        signature: z.string().max(100).describe('HMAC-SHA256 of "{kind}/{id}", as base64url.'),
      }),
      body: TOLD,
    },
    success: { status: 200, description: 'It was heard.', schema: TAKEN },
    problems: [401],
    maxBytes: MAX_RESULT_BYTES,
    admit({ kind, id, signature }) {
      if (isSignatureOf(signature, webhookSecret, { kind, id })) return;
      throw new HandlerError('unauthorized', 'the address is not the one that was given to RunPod');
    },
    async run({ params: { kind, id }, body }) {
      return { body: { taken: (await takeWord(runs, kind, id, body)) === 'taken' } };
    },
  });
  return [route];
}
