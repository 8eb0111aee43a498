import { HandlerError, messageOf, StoppedError, toHandlerError } from '../base/errors.ts';
import { timeLimit } from '../flow/time-limit.ts';
import { followContext } from '../job/stop.ts';
import type { Rebuilt } from '../qdrant/rebuild/finish.ts';
import type { Database } from '../supabase/database.ts';
import type { JobContext } from '../worker/types.ts';
import { writeCollectionRows } from './collection-rows.ts';
import { cutoutsIn } from './cutouts-in.ts';
import type { FailedImage } from './embedded-image.ts';
import { createFailureRows } from './failure-rows.ts';
import type { ImageRef } from './image-ref.ts';
import type { EmbeddingInput } from './input.ts';
import { openJobRow, type JobRow } from './job-row.ts';
import type { JobPerformance, JobStats } from './job-stats.ts';
import { keepMarking } from './keep-marking.ts';
import { createListingTally, type ListingTally } from './listing-tally.ts';
import { createCutoutMarker, type CutoutMarker } from './mark-cutouts.ts';
import { outputOf, type EmbeddingOutput } from './output.ts';
import { createTally, type Tally } from './tally.ts';
import type { JobTargets } from './targets.ts';
import { fillShard, hasWholeEnded } from './whole.ts';

export interface ReportOptions {
  input: EmbeddingInput & { job_id: string };
  database: Database;
  targets: JobTargets;
  context: JobContext;
  stats: JobStats;
  /** See `EmbeddingTools`. */
  settleMs?: number | undefined;
}

/** Everything a job tells: its row, its cutouts' rows, its failures, its collections, its log lines, its output. */
export interface Report {
  /** Aborts when the job is to stop, for whichever reason; the reason is a StoppedError. */
  readonly signal: AbortSignal;
  /** Follows it at once, but for a shutdown with a delay: what was fetched is to be brought through. */
  readonly endSignal: AbortSignal;
  /** Follows that one with a delay: writes under way then are to be known, not cut off. */
  readonly lateSignal: AbortSignal;
  readonly skipped: ListingTally;
  readonly warn: (message: string) => void;
  /** The job is under way: the row says so from here on. */
  start(): Promise<void>;
  /** The model that runs, and what the counting pass found, by collection. */
  planned(model: { dim: number; fingerprint: string }, counts: ReadonlyMap<string, number>): void;
  written(collection: string, refs: readonly ImageRef[]): Promise<void>;
  /** Images that have their point from an earlier run of this job. */
  readonly resumed: (refs: readonly ImageRef[]) => Promise<void>;
  /** Marks the rows of cutouts that have their point. */
  readonly mark: (cutouts: readonly ImageRef[]) => Promise<void>;
  readonly failed: (image: FailedImage) => void;
  /** Images whose point was made of the bytes that they still have. Never rejects. */
  readonly unchanged: (images: readonly ImageRef[]) => Promise<void>;
  /** Images that were not fetched, as another one had their url. */
  readonly repeated: (images: number) => void;
  /**
   * Every image was written or failed: what was filled anew is to serve, and its cutouts are marked.
   * @throws HandlerError where it is not to; StoppedError.
   */
  serve(): Promise<void>;
  /**
   * The job has done all that it was to do.
   * @throws StoppedError `superseded`: a later run of the job has the row.
   */
  complete(): Promise<EmbeddingOutput>;
  /**
   * The job ends early. Says so in the row, unless the page cancelled it; what the store took stays counted.
   * @throws StoppedError `shutdown`: the row stays `running`, so that the job can run again elsewhere; `superseded`: a
   * later run of the job has the row.
   */
  abandon(error: unknown): Promise<EmbeddingOutput>;
}

/** For the rows about collections, at a job's good end and at any other. */
const SETTLE_MS = 60_000;
const SETTLE_STOPPED_MS = 5_000;

export function openReport(options: ReportOptions): Report {
  const { input, database, targets, context, stats, settleMs } = options;
  const { log } = context;
  const shard = input.source_config?.shard;
  const begun = performance.now();
  const tally = createTally();
  const skipped = createListingTally();
  const stop = followContext(context);
  const warnings: string[] = [];
  let model: { dim: number; fingerprint: string } | undefined;
  let row: JobRow | undefined;
  let marker: CutoutMarker | undefined;
  let rebuilt: readonly Rebuilt[] | undefined;

  const warn = (message: string): void => {
    log.warn(message);
    if (!warnings.includes(message)) warnings.push(message);
  };
  const marks = keepMarking({
    mark: (cutouts, signal) => marker?.mark(cutouts, signal) ?? Promise.resolve(0),
    signal: stop.lateSignal,
    log,
    warn,
  });
  const failureRows = createFailureRows({ database, jobId: input.job_id, lease: () => row?.lease, warn });
  const modelId = (): string | undefined =>
    input.collection_metadata?.embedding_model_id ?? row?.embeddingModelId;

  const close = (): void => {
    failureRows.stop();
    stop.release();
  };

  const tellStats = (): JobPerformance => stats.tell(tally.processed - tally.resumedCount, log);

  const output = (status: EmbeddingOutput['status'], error?: HandlerError): EmbeddingOutput => {
    const seconds = Math.round(performance.now() - begun) / 1_000;
    const told = { performance: tellStats(), seconds };
    const parts = { tally, model, skipped, cutoutsMarked: marks.count, rebuilt, warnings, ...told };
    return outputOf(status, parts, error);
  };

  /** What a job leaves behind in whichever way it ends. None of it can fail the job, or take another part's time. */
  const settle = async (limitMs: number): Promise<void> => {
    using limit = timeLimit(limitMs, undefined, outOfTime);
    await Promise.all([
      marks.settle(limit.signal),
      failureRows.flush(limit.signal),
      settleCollections(limit.signal),
    ]);
  };

  const settleCollections = async (signal: AbortSignal): Promise<void> => {
    if (model === undefined) return;
    for (const [name, { points_written: processed, failed }] of tally.collections) {
      log.info(`[${name}] Complete: ${processed} processed, ${failed} failed`, { processed, failed });
    }
    if (targets.isServing) await countCollections(signal);
  };

  const countCollections = (signal: AbortSignal): Promise<void> =>
    writeCollectionRows(tally.collections, {
      database,
      store: targets.store,
      input,
      embeddingModelId: modelId(),
      warn,
      signal,
    });

  /** What shards counted side by side may be behind what the last of them has written. */
  const settleWhole = async (limitMs: number): Promise<void> => {
    if (shard === undefined || model === undefined || !targets.isServing) return;
    using limit = timeLimit(limitMs, undefined, outOfTime);
    try {
      if (await hasWholeEnded(database, input.job_id, limit.signal)) await countCollections(limit.signal);
    } catch (error) {
      warn(`whether this is the last shard could not be read: ${messageOf(error)}`);
    }
  };

  /** Cutouts are marked when searches see their points; those of a collection that is filled anew, all in the end. */
  const markServing = async (refs: readonly ImageRef[]): Promise<void> => {
    targets.met(refs);
    if (targets.isServing) await marks.mark(refs);
  };

  /** The points are stored, or the job failed for a reason of its own: neither changes with what the row says. */
  const endRow = async (status: 'completed' | 'failed' | 'cancelled', message?: string): Promise<void> => {
    await row?.end(status, message).catch((error: unknown) => {
      if (error instanceof StoppedError && error.code === 'superseded') throw error;
      warn(`the job's row could not be written as ${status}: ${messageOf(error)}`);
    });
  };

  return {
    signal: stop.signal,
    endSignal: stop.endSignal,
    lateSignal: stop.lateSignal,
    skipped,
    warn,
    mark: (cutouts) => marks.mark(cutouts),
    async start() {
      // Stopped before it began: a job that runs again elsewhere leaves no trace, and a cancelled one says so.
      if (stop.reason?.code === 'shutdown') throw stop.reason;
      row = await openJobRow({
        database,
        jobId: input.job_id,
        requestId: context.requestId,
        progress: () => {
          const processed = tally.processed + tally.unchanged + tally.failed;
          const total = model === undefined ? undefined : tally.total;
          context.progress({ processed, total: total ?? 0, failed: tally.failed });
          return { processed, total };
        },
        onStopped: stop.stopWith,
        log,
        warn,
        ...(settleMs !== undefined && { settleMs }),
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
      await markServing(refs);
    },
    async resumed(refs) {
      tally.resumed(refs);
      // Those too whose rows are marked: it may have been by another job, for another model.
      await markServing(refs);
    },
    failed(image) {
      const failure = tally.failedWith(image);
      failureRows.add(failure);
      log.warn('an image failed', { image: failure.id, code: failure.code, reason: failure.message });
    },
    repeated: tally.repeated,
    async unchanged(refs) {
      tally.unchangedAre(refs);
      skipped.already_in_collection += refs.length;
      await marks.markTogether(refs.filter(({ marked }) => marked === false));
    },
    async serve() {
      const error = allFailed(tally, skipped, shard !== undefined);
      if (model === undefined || (error !== undefined && targets.isServing)) return;
      if (error !== undefined) throw error;
      const { signal, lateSignal } = stop;
      const confirm = async (): Promise<void> => row?.confirm();
      const isPart = shard !== undefined && !targets.isServing;
      const all = isPart
        ? await fillShard({ database, jobId: input.job_id, lease: row?.lease, signal }, tally.collections)
        : tally.collections;
      // Another shard will be the last.
      if (all === undefined) return;
      const end = { collections: all, together: isPart, model, confirm, warn, signal, lateSignal };
      rebuilt = await targets.finish(end);
      if (rebuilt === undefined) return;
      for await (const cutouts of cutoutsIn(all, targets.store, signal)) await marks.mark(cutouts);
    },
    async complete() {
      tally.close();
      await settle(SETTLE_MS);
      const error = allFailed(tally, skipped, shard !== undefined);
      if (tally.total === 0) warn('the job found no images to embed');
      await endRow(error === undefined ? 'completed' : 'failed', error?.message).finally(close);
      await settleWhole(SETTLE_MS);
      return output(error === undefined ? 'success' : 'error', error);
    },
    async abandon(thrown) {
      const error = stop.reason ?? toHandlerError(thrown);
      if (error.code === 'superseded') {
        log.warn('a later run of this job has taken over; this one stops');
        tellStats();
        await row?.letGo();
        close();
        throw error;
      }
      if (error.code === 'shutdown') {
        tellStats();
        using limit = timeLimit(stop.leaveMs(error), undefined, outOfTime);
        const left = row?.leave(limit.signal).catch((fault: unknown) => {
          log.warn("the job's row could not be left in order", { error: messageOf(fault) });
        });
        await Promise.all([left, failureRows.flush(limit.signal)]);
        close();
        throw error;
      }
      log.error('the job ended early', { code: error.code, error: error.message });
      await settle(SETTLE_STOPPED_MS);
      const cancelled = error.code === 'cancelled';
      await (cancelled ? endRow('cancelled') : endRow('failed', error.message));
      close();
      await settleWhole(SETTLE_STOPPED_MS);
      return output(cancelled ? 'cancelled' : 'error', error);
    },
  };
}

function outOfTime(): HandlerError {
  return new HandlerError('timeout', 'there was no time left for it');
}

/** All of a few images may be broken: in a part of a run that says nothing of the others. */
const MANY = 100;

/** Undefined as long as anything is in the collections, from this run or from one before it. */
function allFailed(tally: Tally, skipped: ListingTally, isPart: boolean): HandlerError | undefined {
  if (tally.failed === 0 || tally.processed > 0 || skipped.already_in_collection > 0) return undefined;
  if (isPart && tally.failed < MANY) return undefined;
  const codes = Object.entries(tally.failedByCode).map(([code, n]) => `${code}: ${n}`);
  const hint = tally.failedByCode.blocked_address === tally.failed ? '; see ALLOW_PRIVATE_HOSTS' : '';
  return new HandlerError(
    'all_images_failed',
    `all ${tally.failed} images failed (${codes.join(', ')})${hint}`,
  );
}
