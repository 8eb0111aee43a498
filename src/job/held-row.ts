import { messageOf, StoppedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { every, sleep } from '../flow/time.ts';
import { timeLimit } from '../flow/time-limit.ts';
import type { Database, Filter } from '../supabase/database.ts';
import type { Values } from './known-columns.ts';
import { leaseRow, UNLESS_CANCELLED, type RowSchema, type Stopped } from './leased-row.ts';

export type EndStatus = 'completed' | 'failed' | 'cancelled';

/** A job's row, held from start to end. */
export interface HeldRow {
  /** What the row's `lease_holder` is while it is this run's; undefined where there is no lease. */
  readonly lease: string | undefined;
  /**
   * Writes the last state, with the progress and these columns; never over `cancelled`, and again where the API has
   * overwritten it. Resolves to what the row then says: `cancelled` where the page was faster.
   * @throws StoppedError `superseded` where a later run of the job holds the row.
   */
  end(status: EndStatus, values?: Values): Promise<EndStatus>;
  /**
   * Writes the progress now, before what is not to be done once the row is another run's. Where `withinMs` is given, a
   * database that does not answer within it is no reason to stop.
   * @throws StoppedError `cancelled`, `superseded`; StoreError where the database does not answer
   */
  confirm(withinMs?: number): Promise<void>;
  /** Writes the progress and leaves the job under way, so that it can run again. */
  leave(signal: AbortSignal): Promise<void>;
  /** Writes nothing more: the row is another run's. */
  letGo(): Promise<void>;
}

export interface HeldRowOptions<Row> {
  database: Database;
  /** With the columns `id`, `status`, `started_at`, `completed_at`, `error_message` and, optionally, `lease_holder`. */
  table: string;
  id: string;
  schema: RowSchema<Row>;
  /** The id by which the platform knows the job, where there is a platform. */
  requestId?: string;
  /** Status of a job under way. */
  working: string;
  /** What the API may have written over ours. A state that ends a job is never taken back by mere progress. */
  unfinished: readonly string[];
  /**
   * Told once, before the first write, of the row as it is, undefined where there is none; `isRedelivered` asks whether
   * an earlier run for the same request had it.
   */
  onFound: (row: Row | undefined, isRedelivered: () => Promise<boolean>) => void | Promise<void>;
  /** Columns that go with every write. */
  progress: () => Values;
  /** Told once when the page cancels the job, or a later run of it takes it over. */
  onStopped: (reason: StoppedError) => void;
  log: Log;
  warn: (message: string) => void;
  /** Time between two progress writes. */
  intervalMs?: number;
  /** For how long after the start the API may still write its own state over ours. */
  settleMs?: number;
}

const PROGRESS_INTERVAL_MS = 1_000;
const SETTLE_MS = 2_000;
const SETTLE_POLL_MS = 250;
/** The job is over and its row is written: reading it back is given up after so long. */
const SETTLE_LIMIT_MS = 15_000;
/** Someone who keeps writing over the last state is no late API call: it is left alone after so many repeats. */
const SETTLE_REPEATS = 5;

/**
 * Marks the job as under way and keeps its row up to date, one write a second. Of two runs of one job the later writes,
 * and the earlier learns within one interval that it is superseded and writes no more.
 * @throws StoppedError `cancelled` when the page has cancelled the job already.
 */
export async function holdRow<Row extends { status: string; started_at: string | null }>(
  options: HeldRowOptions<Row>,
): Promise<HeldRow> {
  const { table, id, working, log } = options;
  const { intervalMs = PROGRESS_INTERVAL_MS, settleMs = SETTLE_MS } = options;
  const begun = performance.now();
  const row = leaseRow(options);

  const stop = (why: Stopped): StoppedError => {
    const stopped =
      why === 'cancelled'
        ? new StoppedError('cancelled', `job ${id} was cancelled`)
        : new StoppedError('superseded', `job ${id} was taken over by a later run of it`, {
            answeredElsewhere: why === 'redelivered',
          });
    options.onStopped(stopped);
    return stopped;
  };

  const first = await row.read();
  if (first === undefined) options.warn(`${table} has no row ${id}: progress is not written`);
  if (first?.status === 'cancelled') throw stop('cancelled');
  await options.onFound(first, row.isRedelivered);
  const underWay = (): Values => ({ status: working, ...options.progress() });
  await row.takeOver({
    ...underWay(),
    error_message: null,
    completed_at: null,
    ...(typeof first?.started_at === 'string' ? {} : { started_at: new Date().toISOString() }),
  });

  const tell = async (signal: AbortSignal): Promise<StoppedError | undefined> => {
    const unfinished: Filter = { column: 'status', op: 'in', value: options.unfinished };
    const stopped = await row.write(underWay(), unfinished, signal);
    return stopped === undefined ? undefined : stop(stopped);
  };

  const ended = new AbortController();
  let silent = false;
  const ticker = every(
    intervalMs,
    async () => {
      await tell(ended.signal);
      silent = false;
    },
    (error) => {
      if (!silent && !ended.signal.aborted) {
        log.warn('progress could not be written; trying again', { error: messageOf(error) });
      }
      silent = true;
    },
  );
  const stopTicking = async (): Promise<void> => {
    ended.abort(new StoppedError('shutdown', 'the job is over'));
    await ticker.stop();
  };

  /** Reads the last write back for as long as the API may still write over it. */
  const settle = async (status: string, values: Values, signal: AbortSignal): Promise<void> => {
    for (let repeats = 0; repeats < SETTLE_REPEATS;) {
      const now = (await row.read(signal))?.status;
      if (now === undefined || now === 'cancelled') return;
      if (now !== status) {
        repeats += 1;
        log.debug('the job row was overwritten; writing it again', { found: now });
        if ((await row.write(values, UNLESS_CANCELLED, signal)) !== undefined) return;
      } else if (performance.now() - begun >= settleMs) {
        return;
      }
      await sleep(SETTLE_POLL_MS, signal);
    }
  };

  return {
    get lease() {
      return row.lease;
    },
    letGo: stopTicking,
    async end(status, columns = {}) {
      await stopTicking();
      const values = {
        ...options.progress(),
        error_message: null,
        ...columns,
        status,
        completed_at: new Date().toISOString(),
      };
      const stopped = await row.write(values, UNLESS_CANCELLED);
      if (stopped === 'cancelled') return 'cancelled';
      if (stopped !== undefined) throw stop(stopped);
      using limit = timeLimit(SETTLE_LIMIT_MS, undefined);
      await settle(status, values, limit.signal).catch((error: unknown) => {
        log.warn("the job's last state was written; whether it stands could not be read", {
          error: messageOf(error),
        });
      });
      return status;
    },
    async confirm(withinMs) {
      using limit = withinMs === undefined ? undefined : timeLimit(withinMs, undefined);
      const stopped = await tell(limit?.signal ?? ended.signal).catch((error: unknown) => {
        if (limit === undefined) throw error;
        log.debug('whether the row is still that of this run could not be asked', {
          error: messageOf(error),
        });
      });
      if (stopped !== undefined) throw stopped;
    },
    async leave(signal) {
      await stopTicking();
      await row.write(underWay(), UNLESS_CANCELLED, signal);
    },
  };
}
