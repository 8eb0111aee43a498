import type { HandlerError } from '../base/errors.ts';
import type { Rebuilt } from '../qdrant/rebuild/finish.ts';
import type { JobPerformance } from './job-stats.ts';
import type { ListingTally } from './listing-tally.ts';
import type { CollectionTally, Failure, Tally } from './tally.ts';

/** What a job gives back. `error` is there when, and only when, the platform shall call the job FAILED. */
export interface EmbeddingOutput {
  status: 'success' | 'cancelled' | 'error';
  /** Images whose point the store acknowledged. */
  processed_count: number;
  /** Those of them that an earlier run of this job had done: not fetched again. */
  resumed_count: number;
  /** Images whose point was made of the bytes that they still have: fetched, and not embedded again. */
  unchanged_count: number;
  /** Of all of these, images that were not fetched: another one of this run had their url. */
  same_url_count: number;
  failed_count: number;
  total_images: number;
  embedding_dim: number | undefined;
  /** The fingerprint that stands in every payload as `model`. */
  model: string | undefined;
  collections: Record<string, CollectionTally>;
  /** The first hundred; all of them are in `embedding_job_failures`, where the database has it. */
  failed_images: readonly Failure[];
  failed_by_code: Readonly<Record<string, number>>;
  /** What the listing left out, and why. */
  skipped: ListingTally;
  cutouts_marked: number;
  /** Of a job with `rebuild` that has switched: what the names stand for now. */
  rebuilt?: readonly Rebuilt[];
  warnings: readonly string[];
  seconds: number;
  performance: JobPerformance;
  error?: string;
  error_code?: string;
}

export interface OutputParts {
  tally: Tally;
  model: { dim: number; fingerprint: string } | undefined;
  skipped: ListingTally;
  cutoutsMarked: number;
  rebuilt: readonly Rebuilt[] | undefined;
  warnings: readonly string[];
  seconds: number;
  performance: JobPerformance;
}

export function outputOf(
  status: EmbeddingOutput['status'],
  parts: OutputParts,
  error?: HandlerError,
): EmbeddingOutput {
  const { tally, model } = parts;
  return {
    status,
    processed_count: tally.processed,
    resumed_count: tally.resumedCount,
    unchanged_count: tally.unchanged,
    same_url_count: tally.sameUrlCount,
    failed_count: tally.failed,
    total_images: tally.total,
    embedding_dim: model?.dim,
    model: model?.fingerprint,
    collections: Object.fromEntries(tally.collections),
    failed_images: tally.failures,
    failed_by_code: tally.failedByCode,
    skipped: parts.skipped,
    cutouts_marked: parts.cutoutsMarked,
    ...(parts.rebuilt === undefined ? {} : { rebuilt: parts.rebuilt }),
    warnings: parts.warnings,
    seconds: parts.seconds,
    performance: parts.performance,
    ...(error === undefined || status !== 'error' ? {} : { error: error.message, error_code: error.code }),
  };
}
