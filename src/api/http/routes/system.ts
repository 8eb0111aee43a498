import { z } from 'zod';

import { EXPOSITION_TYPE } from '../../metrics/exposition.ts';
import type { ApiParts } from '../parts.ts';
import { answerSchema, defineRoute, type Route } from '../route.ts';

const ALIVE = answerSchema('Alive', z.object({ status: z.literal('ok') }));

export function systemRoutes({ metrics, ready }: ApiParts): Route[] {
  const health = defineRoute({
    method: 'GET',
    path: '/healthz',
    operationId: 'isAlive',
    tag: 'System',
    summary: 'Is the process alive?',
    isOpen: true,
    isProbe: true,
    success: { status: 200, description: 'It is.', schema: ALIVE },
    run: () => ({ body: { status: 'ok' } }),
  });
  const readiness = defineRoute({
    method: 'GET',
    path: '/readyz',
    operationId: 'isReady',
    tag: 'System',
    summary: 'Can it answer: do Supabase and Qdrant answer it, and is it not stopping?',
    isOpen: true,
    isProbe: true,
    success: { status: 200, description: 'It can.', schema: ALIVE },
    async run() {
      await ready();
      return { body: { status: 'ok' } };
    },
  });
  const scrape = defineRoute({
    method: 'GET',
    path: '/metrics',
    operationId: 'metrics',
    tag: 'System',
    summary: 'Numbers for Prometheus',
    success: { status: 200, description: "Prometheus' text format.", contentType: EXPOSITION_TYPE },
    run: async ({ signal }) => ({ body: await metrics.text(signal) }),
  });
  return [health, readiness, scrape];
}
