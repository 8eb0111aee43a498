import { HandlerError, messageOf, StoppedError, toHandlerError } from '../base/errors.ts';
import type { VectorStore } from '../qdrant/store.ts';
import type { Database } from '../supabase/database.ts';
import type { JobContext } from '../worker/types.ts';
import { writeCollectionRows } from './collection-rows.ts';
import type { FailedImage } from './extract.ts';
import { createFailureRows } from './failure-rows.ts';
import type { ImageRef } from './image-ref.ts';
import type { EmbeddingInput } from './input.ts';
import { openJobRow, type JobRow } from './job-row.ts';
import { createListingTally, type ListingTally } from './listing-tally.ts';
import { createCutoutMarker, type CutoutMarker } from './mark-cutouts.ts';
import { outputOf, type EmbeddingOutput } from './output.ts';
import { createTally } from './tally.ts';

export interface ReportOptions {
  input: EmbeddingInput & { job_id: string };
  database: Database;
  store: VectorStore;
  context: JobContext;
}

/** Everything a job tells: its row, its cutouts' rows, its failures, its collections, its log lines, its output. */
export interface Report {
  /** Aborts when the job is to stop, for whichever reason; the reason is a StoppedError. */
  readonly signal: AbortSignal;
  readonly skipped: ListingTally;
  readonly warn: (message: string) => void;
  /** The job is under way: the row says so from here on. */
  start(): Promise<void>;
  /** The model that runs, and what the counting pass found, by collection. */
  planned(model: { dim: number; fingerprint: string }, counts: ReadonlyMap<string, number>): void;
  written(collection: string, refs: readonly ImageRef[]): Promise<void>;
  readonly failed: (image: FailedImage) => void;
  /** Every image was written or failed. */
  complete(): Promise<EmbeddingOutput>;
  /**
   * The job ends early. Says so in the row, unless the page cancelled it; what the store took stays counted.
   * @throws StoppedError `shutdown`: the row stays `running`, so that the job can run again elsewhere.
   */
  abandon(error: unknown): Promise<EmbeddingOutput>;
}

export function openReport({ input, database, store, context }: ReportOptions): Report {
  const { log } = context;
  const begun = performance.now();
  const tally = createTally();
  const skipped = createListingTally();
  const stop = new AbortController();
  const warnings: string[] = [];
  let model: { dim: number; fingerprint: string } | undefined;
  let row: JobRow | undefined;
  let marker: CutoutMarker | undefined;
  let cutoutsMarked = 0;

  const warn = (message: string): void => {
    log.warn(message);
    if (!warnings.includes(message)) warnings.push(message);
  };
  const failureRows = createFailureRows(database, input.job_id, warn);
  const modelId = (): string | undefined =>
    input.collection_metadata?.embedding_model_id ?? row?.embeddingModelId;

  const stopWith = (reason: unknown): void => {
    stop.abort(
      reason instanceof StoppedError ? reason : new StoppedError('cancelled', 'the caller stopped the job'),
    );
  };
  const onContextAbort = (): void => {
    stopWith(context.signal.reason);
  };
  if (context.signal.aborted) onContextAbort();
  else context.signal.addEventListener('abort', onContextAbort, { once: true });

  const output = (status: EmbeddingOutput['status'], error?: HandlerError): EmbeddingOutput => {
    context.signal.removeEventListener('abort', onContextAbort);
    const seconds = Math.round(performance.now() - begun) / 1_000;
    return outputOf(status, { tally, model, skipped, cutoutsMarked, warnings, seconds }, error);
  };

  /** What a job leaves behind in whichever way it ends. */
  const settle = async (): Promise<void> => {
    await failureRows.flush();
    if (model === undefined) return;
    for (const [name, { points_written: processed, failed }] of tally.collections) {
      log.info(`[${name}] Complete: ${processed} processed, ${failed} failed`, { processed, failed });
    }
    await writeCollectionRows(tally.collections, {
      database,
      store,
      input,
      embeddingModelId: modelId(),
      warn,
    });
  };

  return {
    signal: stop.signal,
    skipped,
    warn,
    async start() {
      // Stopped before it began: a job that runs again elsewhere leaves no trace, and a cancelled one says so.
      if (stop.signal.aborted && (stop.signal.reason as StoppedError).code === 'shutdown')
        throw stop.signal.reason;
      row = await openJobRow({
        database,
        jobId: input.job_id,
        progress: () => {
          const progress = { processed: tally.processed + tally.failed, total: tally.total };
          context.progress({ ...progress, failed: tally.failed });
          return progress;
        },
        onCancelled: stopWith,
        log,
        warn,
      });
      await failureRows.clear();
      marker = createCutoutMarker({ database, embeddingModelId: modelId(), warn });
      stop.signal.throwIfAborted();
    },
    planned(loaded, counts) {
      model = loaded;
      log.info(`[Collection Grouping] Found ${counts.size} collections:`);
      for (const [name, images] of counts) {
        log.info(`  - ${name}: ${images} images`);
        tally.expect(name, images);
      }
    },
    async written(collection, refs) {
      tally.written(collection, refs);
      try {
        const marked = (await marker?.mark(refs)) ?? 0;
        // After the wait: writes side by side would otherwise add to what the counter was before it.
        cutoutsMarked += marked;
      } catch (error) {
        warn(`cutouts are in ${collection} but their rows could not be marked: ${messageOf(error)}`);
      }
    },
    failed(image) {
      const failure = tally.failedWith(image);
      failureRows.add(failure);
      log.warn('an image failed', { image: failure.id, code: failure.code, reason: failure.message });
    },
    async complete() {
      await settle();
      if (tally.total === 0) warn('the job found no images');
      if (tally.failed > 0 && tally.processed === 0) {
        const codes = Object.entries(tally.failedByCode).map(([code, n]) => `${code}: ${n}`);
        const error = new HandlerError(
          'all_images_failed',
          `all ${tally.failed} images failed (${codes.join(', ')})`,
        );
        await row?.end('failed', error.message);
        return output('error', error);
      }
      await row?.end('completed');
      return output('success');
    },
    async abandon(thrown) {
      const error = stop.signal.aborted ? (stop.signal.reason as StoppedError) : toHandlerError(thrown);
      if (error.code === 'shutdown') {
        await row?.leave();
        throw error;
      }
      log.error('the job ended early', { code: error.code, error: error.message });
      await settle();
      if (error.code === 'cancelled') {
        await row?.end('cancelled');
        return output('cancelled');
      }
      await row?.end('failed', error.message);
      return output('error', error);
    },
  };
}
