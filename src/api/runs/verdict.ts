import { z } from 'zod';

import { redact } from '../../base/redact.ts';
import type { Values } from '../../job/known-columns.ts';
import type { RunPodJob } from '../runpod/endpoint.ts';
import type { RunKindName } from './run-kinds.ts';
import type { RunEnd } from './run-rows.ts';

/** What both handlers' outputs say of their end; one of them in capitals. */
const OUTPUT = z.object({
  status: z.string().optional(),
  error: z.string().optional(),
});

/** Columns that a worker would have written with its last state. */
const COUNTS = z
  .object({
    total_images: z.number(),
    processed_count: z.number(),
    unchanged_count: z.number().default(0),
    failed_count: z.number(),
  })
  .transform(({ total_images, processed_count: done, unchanged_count: unchanged, failed_count: failed }) => ({
    total_images,
    processed_images: done + unchanged + failed,
  }));
const number = z.number().optional().catch(undefined);
const MODEL = z
  .object({
    model_url: z.string(),
    onnx_url: z.string().optional().catch(undefined),
    metrics: z
      .object({ best_val_acc: number, best_val_f1: number, best_val_top5_acc: number, best_epoch: number })
      .catch({}),
  })
  .transform(({ model_url, onnx_url, metrics }) => ({
    model_url,
    onnx_url,
    best_accuracy: metrics.best_val_acc,
    best_f1: metrics.best_val_f1,
    best_top5_accuracy: metrics.best_val_top5_acc,
    best_epoch: metrics.best_epoch,
  }));

/** What a worker posts for an error that was thrown. */
const THROWN = z.object({ error_message: z.string() });

/**
 * How a run has ended by RunPod's word; undefined while it has not. Its worker has written the same into the row, where
 * it was there to do so.
 */
export function verdictOf(kind: RunKindName, job: RunPodJob): RunEnd | undefined {
  switch (job.status) {
    case 'IN_QUEUE':
    case 'IN_PROGRESS':
      return undefined;
    case 'CANCELLED':
      return { state: 'cancelled' };
    case 'TIMED_OUT':
      return {
        state: 'failed',
        error: withDetail('RunPod ended the job: it ran or waited longer than it may', job),
      };
    case 'FAILED':
      return {
        state: 'failed',
        error: errorText(job.error) ?? 'RunPod calls the job failed, and does not say why',
      };
    case 'COMPLETED':
      return completed(kind, job.output);
  }
}

/** A job that RunPod does not know any more, of a run that says nothing of its end. */
export const FORGOTTEN: RunEnd = {
  state: 'failed',
  error:
    'RunPod does not know the job any more, and its worker has not told its end: it died, or the job was purged or expired. What was written stays; submit it again',
};

function completed(kind: RunKindName, output: unknown): RunEnd {
  const { status, error } = OUTPUT.catch({}).parse(output);
  const said = status?.toLowerCase();
  if (said === 'cancelled') return { state: 'cancelled' };
  if (error !== undefined || said === 'error' || said === 'failed') {
    return { state: 'failed', error: redact(error ?? 'the job has failed, and does not say why') };
  }
  if (kind === 'embedding') return { state: 'completed', values: valuesOf(COUNTS, output) };
  const model = MODEL.safeParse(output);
  // The page makes a model of a completed run, and cannot without its address.
  if (!model.success) return { state: 'failed', error: 'the job has completed, and gave no model_url' };
  const known = Object.entries(model.data).filter(([, value]) => value !== undefined);
  return { state: 'completed', values: Object.fromEntries(known) };
}

function valuesOf(schema: z.ZodType<Values>, output: unknown): Values {
  const result = schema.safeParse(output);
  return result.success ? result.data : {};
}

function withDetail(what: string, { error }: RunPodJob): string {
  const text = errorText(error);
  return text === undefined ? what : `${what} (${text})`;
}

/** The words of an error: plain, or those inside the object that a worker posts. */
function errorText(error: unknown): string | undefined {
  if (typeof error !== 'string' || error === '') return undefined;
  const thrown = THROWN.safeParse(parsed(error));
  return redact(thrown.success ? thrown.data.error_message : error);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
