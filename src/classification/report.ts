import { HandlerError, messageOf, StoppedError, toHandlerError } from '../base/errors.ts';
import { redact } from '../base/redact.ts';
import { storableText } from '../base/storable-text.ts';
import { timeLimit } from '../flow/time-limit.ts';
import type { EndStatus, HeldRow } from '../job/held-row.ts';
import type { Values } from '../job/known-columns.ts';
import { followContext } from '../job/stop.ts';
import type { JobContext } from '../worker/types.ts';
import type { DataReport } from './data-report.ts';
import type { EpochRow } from './epoch-row.ts';
import { createEpochRows, NO_EPOCH_ROWS } from './epoch-rows.ts';
import type { ClassificationInput } from './input.ts';
import { failedOutput, toldMetrics, type ClassificationOutput, type CompletedParts } from './output.ts';
import type { RunPlace } from './place.ts';
import { openRunRow, type BestEpoch } from './run-row.ts';

export interface ReportOptions {
  input: Pick<ClassificationInput, 'config'>;
  place: Pick<RunPlace, 'runId' | 'hasRow' | 'database'>;
  context: JobContext;
  /** See `ClassificationTools`. */
  settleMs?: number | undefined;
}

/** What is told of a run while it goes on; the latest counts. */
export type RunNews =
  | { stage: 'pictures' | 'features'; done: number; total: number }
  | {
      stage: 'training';
      epoch: number;
      epochs: number;
      step: number;
      steps: number;
      loss: number;
      learning_rate: number;
      seconds_left: number;
      best_val_acc: number | null;
    }
  /** Percent: what frozen features can do. */
  | { stage: 'baselines'; knn_acc: number; ridge_acc: number }
  | { stage: 'evaluating' | 'exporting' | 'uploading' };

/** Everything a training job tells: its row, its epochs' rows, its progress, its output. */
export interface Report {
  /** Aborts when the job is to stop, for whichever reason; the reason is a StoppedError. */
  readonly signal: AbortSignal;
  /** Follows it at once, but for a shutdown with a delay: what was learnt is to be brought to safety. */
  readonly endSignal: AbortSignal;
  /** Stops the job as if from outside. */
  readonly stopWith: (reason: unknown) => void;
  readonly warn: (message: string) => void;
  /** The run is under way: the row says so from here on. `isRerun`: an earlier attempt may have left a checkpoint. */
  start(): Promise<{ isRerun: boolean }>;
  progress(news: RunNews): void;
  /** Pictures that are there, or that failed. */
  readonly fetched: (pictures: { done: number; total: number }) => void;
  /** Again where more is known; what was told is not told twice. */
  data(report: DataReport): void;
  /** The epochs begin, after so many of an earlier attempt, whose rows these are; rows of later ones are forgotten. */
  begin(past: { epochs: number; rows: readonly EpochRow[] }): Promise<void>;
  epoch(row: EpochRow): void;
  best(epoch: BestEpoch): void;
  /** Seconds since the start. */
  readonly seconds: number;
  /** Is the job to run again, here or elsewhere? */
  readonly isInterrupted: boolean;
  /** Is the run still this attempt's? @throws StoppedError `cancelled`, `superseded` */
  readonly confirm: () => Promise<void>;
  /**
   * The model is stored: the row says so, with where. A shutdown is too late now.
   * @throws StoppedError `cancelled`; `superseded`: a later run of the job has the row.
   */
  complete(parts: CompletedParts): Promise<void>;
  output(parts: CompletedParts): ClassificationOutput;
  /**
   * The job ends early. Says so in the row, unless the page cancelled it.
   * @throws StoppedError `shutdown`: the row stays `training`, so that the job can run again elsewhere; `superseded`: a
   * later run of the job has the row.
   */
  abandon(error: unknown): Promise<ClassificationOutput>;
}

const SETTLE_MS = 60_000;
/** A database that takes longer to say whose the row is says nothing. */
const CONFIRM_LIMIT_MS = 5_000;
const SETTLE_STOPPED_MS = 5_000;
const ERROR_MESSAGE_CHARS = 1_000;
const TRACEBACK_CHARS = 8_000;

export function openReport({ input, place, context, settleMs }: ReportOptions): Report {
  const { log } = context;
  const { runId } = place;
  const database = place.hasRow ? place.database : undefined;
  const named = database === undefined ? {} : { training_run_id: runId };
  const begun = performance.now();
  const stop = followContext(context);
  const warnings: string[] = [];
  let row: HeldRow | undefined;
  let data: DataReport | undefined;
  let epoch: number | undefined;
  let epochsDone = 0;
  let best: BestEpoch | undefined;

  const warn = (message: string): void => {
    log.warn(message);
    if (!warnings.includes(message)) warnings.push(message);
  };
  const epochRows = database === undefined ? NO_EPOCH_ROWS : createEpochRows(database, runId, warn);
  const secondsNow = (): number => Math.round(performance.now() - begun) / 1_000;

  const flush = async (limitMs: number, signal?: AbortSignal): Promise<void> => {
    using limit = timeLimit(
      limitMs,
      signal,
      () => new HandlerError('timeout', 'there was no time left for it'),
    );
    await epochRows.flush(limit.signal);
  };

  const early = (status: 'CANCELLED' | 'FAILED', error: HandlerError): ClassificationOutput =>
    failedOutput(status, { ...named, warnings, seconds: secondsNow(), data }, error);

  /** The model is stored, or the run failed for a reason of its own: neither changes with what the row says. */
  const endRow = async (status: EndStatus, columns: Values = {}): Promise<EndStatus> => {
    const ended = await row?.end(status, columns).catch((fault: unknown) => {
      if (fault instanceof StoppedError && fault.code === 'superseded') throw fault;
      warn(`the run's row could not be written as ${status}: ${messageOf(fault)}`);
    });
    return ended ?? status;
  };

  return {
    signal: stop.signal,
    endSignal: stop.endSignal,
    stopWith: stop.stopWith,
    warn,
    get seconds() {
      return secondsNow();
    },
    async start() {
      // Stopped before it began: a job that runs again elsewhere leaves no trace, and a cancelled one says so.
      if (stop.reason?.code === 'shutdown') throw stop.reason;
      if (database === undefined) {
        stop.signal.throwIfAborted();
        return { isRerun: false };
      }
      const opened = await openRunRow({
        database,
        runId,
        requestId: context.requestId,
        progress: () => ({ epoch, best }),
        onStopped: stop.stopWith,
        log,
        warn,
        ...(settleMs !== undefined && { settleMs }),
      });
      row = opened;
      stop.signal.throwIfAborted();
      return { isRerun: opened.isRerun };
    },
    progress(news) {
      if (news.stage === 'training') ({ epoch } = news);
      context.progress(news);
    },
    fetched: (pictures) => {
      context.progress({ stage: 'pictures', ...pictures } satisfies RunNews);
    },
    data(report) {
      const told = data?.warnings ?? [];
      data = report;
      for (const text of report.warnings) if (!told.includes(text)) warn(`[Data] ${text}`);
    },
    async begin({ epochs, rows }) {
      epochsDone = epochs;
      epoch = Math.min(input.config.epochs, epochs + 1);
      await epochRows.clearAfter(epochs);
      // They are there already, unless they are those of another run that this one goes on from.
      for (const row of rows) epochRows.add(row);
    },
    epoch: (done) => {
      epochsDone = done.epoch;
      epochRows.add(done);
    },
    best: (found) => {
      best = found;
    },
    get isInterrupted() {
      return stop.reason?.code === 'shutdown' || stop.reason?.code === 'superseded';
    },
    confirm: async () => row?.confirm(CONFIRM_LIMIT_MS),
    async complete({ model_url, onnx_url }) {
      await flush(SETTLE_MS, stop.endSignal);
      await row?.confirm(CONFIRM_LIMIT_MS);
      if (stop.reason !== undefined && stop.reason.code !== 'shutdown') throw stop.reason;
      // An earlier run of the job may have written on until it learnt of this one.
      await epochRows.clearAfter(epochsDone);
      const ended = await endRow('completed', { model_url, onnx_url, error_traceback: null });
      if (ended === 'cancelled') throw new StoppedError('cancelled', `run ${runId} was cancelled`);
      stop.release();
    },
    output: (parts) => ({
      status: 'COMPLETED',
      ...named,
      ...parts,
      metrics: toldMetrics(parts.metrics),
      warnings,
      seconds: secondsNow(),
    }),
    async abandon(thrown) {
      const error = stop.reason ?? toHandlerError(thrown);
      if (error.code === 'superseded') {
        log.warn('a later run of this job has taken over; this one stops');
        await row?.letGo();
        stop.release();
        throw error;
      }
      if (error.code === 'shutdown') {
        using limit = timeLimit(stop.leaveMs(error), undefined);
        await row?.leave(limit.signal).catch((fault: unknown) => {
          log.warn("the run's row could not be left in order", { error: messageOf(fault) });
        });
        stop.release();
        throw error;
      }
      log.error('the job ended early', { code: error.code, error: error.message });
      await flush(SETTLE_STOPPED_MS);
      const isCancelled = error.code === 'cancelled';
      await (isCancelled ? endRow('cancelled') : endRow('failed', faultColumns(error))).finally(() =>
        stop.release(),
      );
      return early(isCancelled ? 'CANCELLED' : 'FAILED', error);
    },
  };
}

function faultColumns(error: HandlerError): Values {
  const stacks = [
    error.stack ?? error.message,
    ...(error.cause instanceof Error ? [error.cause.stack ?? ''] : []),
  ];
  return {
    error_message: storableText(error.message, ERROR_MESSAGE_CHARS),
    error_traceback: storableText(redact(stacks.join('\ncaused by: ')), TRACEBACK_CHARS),
  };
}
