import { HandlerError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { timeLimit } from '../flow/time-limit.ts';
import type { PointedImage } from './image-ref.ts';
import type { CutoutMarker } from './mark-cutouts.ts';

/** Marks cutouts without ever failing the job or holding it up for long: what could not be marked is tried at the end. */
export interface CutoutMarks {
  /** Rows marked so far. */
  readonly count: number;
  /** Marks them now, or keeps them for the end. Never rejects. */
  mark(refs: readonly PointedImage[]): Promise<void>;
  /** Marks them when enough of them have come together for one request. Never rejects. */
  markTogether(refs: readonly PointedImage[]): Promise<void>;
  /** Marks what was kept; what is left then is a warning. Never rejects; ends with the signal at the latest. */
  settle(signal: AbortSignal): Promise<void>;
}

export interface CutoutMarksOptions {
  mark: CutoutMarker['mark'];
  /** Ends the marking under way. */
  signal: AbortSignal;
  log: Log;
  warn: (message: string) => void;
}

/** A write waits for its rows so long: they have their second chance, and the points behind it should not wait. */
const MARK_MS = 20_000;
/** After a failure the rows are left alone so long, rather than each write waiting anew. */
const PAUSE_MS = 60_000;
/** Kept for another try at the end, so that memory stays bounded; a later append marks the others. */
const MOST_KEPT = 20_000;
/** Cutouts that come one by one are marked when there are so many. */
const TOGETHER = 256;
/** In one request at the end. */
const CHUNK = 1_000;

export function keepMarking({ mark, signal, log, warn }: CutoutMarksOptions): CutoutMarks {
  const kept: PointedImage[] = [];
  let gathered: PointedImage[] = [];
  let count = 0;
  /** Of the cutouts that were told of, those whose rows are not marked. */
  let missing = 0;
  let why = '';
  let pausedUntil = 0;

  const markNow = async (cutouts: readonly PointedImage[], ends: AbortSignal): Promise<void> => {
    const rows = await mark(cutouts, ends);
    // After the wait: writes side by side would otherwise add to what the counter was before it.
    count += rows;
    missing -= cutouts.length;
  };

  const keep = (cutouts: readonly PointedImage[]): void => {
    kept.push(...cutouts.slice(0, MOST_KEPT - kept.length));
  };

  const markOrKeep = async (cutouts: readonly PointedImage[]): Promise<void> => {
    missing += cutouts.length;
    if (cutouts.length === 0) return;
    if (performance.now() >= pausedUntil) {
      using limit = timeLimit(
        MARK_MS,
        signal,
        () => new HandlerError('timeout', `no answer in ${MARK_MS} ms`),
      );
      try {
        await markNow(cutouts, limit.signal);
        return;
      } catch (error) {
        pausedUntil = performance.now() + PAUSE_MS;
        why = messageOf(error);
        log.warn('cutouts could not be marked; trying again at the end', { error: why });
      }
    }
    keep(cutouts);
  };

  return {
    get count() {
      return count;
    },
    mark: (refs) => markOrKeep(cutoutsOf(refs)),
    async markTogether(refs) {
      gathered.push(...cutoutsOf(refs));
      if (gathered.length < TOGETHER) return;
      const together = gathered;
      gathered = [];
      await markOrKeep(together);
    },
    async settle(ends) {
      missing += gathered.length;
      keep(gathered);
      try {
        for (let i = 0; i < kept.length; i += CHUNK) await markNow(kept.slice(i, i + CHUNK), ends);
      } catch (error) {
        // Out of time says less than what was in the way before.
        if (!ends.aborted) why = messageOf(error);
      }
      kept.length = 0;
      if (missing === 0) return;
      warn(
        `${missing} cutouts have their point but their rows could not be marked (${why}): ` +
          'a job with append_only_new marks them',
      );
    },
  };
}

function cutoutsOf(refs: readonly PointedImage[]): PointedImage[] {
  return refs.filter(({ type }) => type === 'cutout');
}
