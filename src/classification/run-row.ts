import { z } from 'zod';

import type { StoppedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { holdRow, type HeldRow } from '../job/held-row.ts';
import type { Values } from '../job/known-columns.ts';
import type { Database } from '../supabase/database.ts';
import type { EpochRow } from './epoch-row.ts';

/** What a run has reached so far; percentages, but for F1. */
interface RunProgress {
  /** The epoch under way, from 1; undefined before the first. */
  epoch: number | undefined;
  best: BestEpoch | undefined;
}

export interface BestEpoch {
  epoch: number;
  accuracy: number;
  f1: number;
  top5Accuracy: number;
}

export interface RunRowOptions {
  database: Database;
  runId: string;
  /** The id by which the platform knows the job. */
  requestId: string;
  progress: () => RunProgress;
  /** Told once when the page cancels the run, or a later run of the job takes it over. */
  onStopped: (reason: StoppedError) => void;
  log: Log;
  warn: (message: string) => void;
  /** For how long after the start the API may still write its own state over ours. */
  settleMs?: number;
}

const WORKING = 'training';
const COMPLETED = 'completed';

const STATE = z.object({
  status: z.string(),
  started_at: z.string().nullable(),
});

/**
 * Marks the run in `cls_training_runs` as `training` and keeps its row up to date: src/job/held-row.ts has what holds of
 * it. `isRerun`: an earlier attempt at the run was under way, or the platform did not learn that it was completed.
 * @throws StoppedError `cancelled` when the page has cancelled the run already.
 */
export async function openRunRow({
  runId,
  progress,
  ...options
}: RunRowOptions): Promise<HeldRow & { isRerun: boolean }> {
  let isRerun = false;
  const row = await holdRow({
    ...options,
    table: 'cls_training_runs',
    id: runId,
    schema: STATE,
    working: WORKING,
    unfinished: ['pending', 'preparing', 'queued', WORKING],
    onFound: async (found, isRedelivered) => {
      isRerun = found?.status === WORKING || (found?.status === COMPLETED && (await isRedelivered()));
    },
    progress: () => columnsOf(progress()),
  });
  return { ...row, isRerun };
}

function columnsOf({ epoch, best }: RunProgress): Values {
  return {
    ...(epoch !== undefined && { current_epoch: epoch }),
    ...(best !== undefined && {
      best_accuracy: best.accuracy,
      best_f1: best.f1,
      best_top5_accuracy: best.top5Accuracy,
      best_epoch: best.epoch,
    }),
  };
}

export function asBestEpoch(row: EpochRow): BestEpoch {
  const { epoch, val_accuracy, val_f1, val_top5_accuracy } = row;
  return { epoch, accuracy: val_accuracy, f1: val_f1, top5Accuracy: val_top5_accuracy };
}
