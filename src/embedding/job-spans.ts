import { toHandlerError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { JobSpan, JobSpans, PartSpan, SpanAttributes } from '../telemetry/job-span.ts';
import type { EmbeddingInput } from './input.ts';
import { stagePerformance, type JobStats } from './job-stats.ts';
import type { EmbeddingOutput } from './output.ts';
import type { StatelessOutput } from './stateless.ts';

interface SpannedJob {
  /** Undefined: none are wanted. */
  spans: JobSpans | undefined;
  id: string;
  input: EmbeddingInput;
  stats: JobStats;
  log: Log;
}

type Output = EmbeddingOutput | StatelessOutput;

/**
 * Runs a job and, before its outcome is known to anybody, delivers its span with one for each stage. While the job runs
 * nothing of this does.
 */
export async function withSpans<O extends Output>(job: SpannedJob, run: () => Promise<O>): Promise<O> {
  const { spans, log } = job;
  if (spans === undefined) return run();
  const begun = performance.now();
  try {
    const output = await run();
    await spans.record(spanOf(job, begun, output), log);
    return output;
  } catch (error) {
    const { code, message } = toHandlerError(error);
    const recorded = spans.record({ ...spanOf(job, begun), error: { code, message } }, log);
    // The time that the platform gives to a worker that ends belongs to the job's row and its result.
    if (code !== 'shutdown') await recorded;
    throw error;
  }
}

function spanOf(job: SpannedJob, begun: number, output?: Output): JobSpan {
  const { error, error_code: code } = output ?? {};
  return {
    name: 'embedding job',
    startMs: sinceEpoch(begun),
    endMs: sinceEpoch(performance.now()),
    attributes: {
      'job.id': job.input.job_id ?? job.id,
      'job.request_id': job.id,
      'job.model_type': job.input.model_type,
      ...(output && outcomeOf(output)),
    },
    ...(code !== undefined && { error: { code, message: error ?? '' } }),
    parts: partsOf(job.stats),
  };
}

function outcomeOf(output: Output): SpanAttributes {
  const { performance: told } = output;
  return {
    'job.status': output.status,
    'job.model': output.model,
    'job.images.total': output.total_images,
    'job.images.processed': output.processed_count,
    'job.images.failed': output.failed_count,
    'job.images_per_second': told.images_per_second,
    'job.limited_by': told.limited_by ?? undefined,
    'job.downloaded_bytes': told.downloaded_bytes,
    'job.memory_peak_bytes': told.memory_peak_bytes,
    'job.retries.images': told.retries.images,
    'job.retries.supabase': told.retries.supabase,
    'job.retries.qdrant': told.retries.qdrant,
  };
}

/** Stages that did anything, from their first work to their last. */
function partsOf({ meter }: JobStats): PartSpan[] {
  const { seconds, stages } = meter.read();
  return stages.flatMap((stage) => {
    const { name, firstMs, lastMs = firstMs } = stage;
    if (firstMs === undefined || lastMs === undefined) return [];
    const attributes = Object.fromEntries(
      Object.entries(stagePerformance(stage, seconds)).map(([key, value]) => [`stage.${key}`, value]),
    );
    return [{ name, startMs: sinceEpoch(firstMs), endMs: sinceEpoch(lastMs), attributes }];
  });
}

function sinceEpoch(ms: number): number {
  return performance.timeOrigin + ms;
}
