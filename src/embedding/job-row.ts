import { z } from 'zod';

import type { StoppedError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { storableText } from '../base/storable-text.ts';
import { holdRow, type EndStatus } from '../job/held-row.ts';
import type { Database } from '../supabase/database.ts';

interface JobProgress {
  /** Done and failed together. */
  processed: number;
  /** Undefined until the images are counted. */
  total: number | undefined;
}

/** A job's row in `embedding_jobs`, held from start to end. */
export interface JobRow {
  readonly embeddingModelId: string | undefined;
  /** Of this run; undefined where there is none. */
  readonly lease: string | undefined;
  /**
   * Writes the last state; never over `cancelled`, and again where the API has overwritten it.
   * @throws StoppedError `superseded` where a later run of the job holds the row.
   */
  end(status: EndStatus, errorMessage?: string): Promise<void>;
  /** @throws StoppedError where the page has cancelled the job, or a later run of it holds the row. */
  confirm(): Promise<void>;
  /** Writes the progress and leaves the status `running`, so that the job can run again. */
  leave(signal: AbortSignal): Promise<void>;
  /** Writes nothing more: the row is another run's. */
  letGo(): Promise<void>;
}

export interface JobRowOptions {
  database: Database;
  jobId: string;
  /** The id by which the platform knows the job. */
  requestId: string;
  progress: () => JobProgress;
  /** Told once when the page cancels the job, or a later run of it takes it over. */
  onStopped: (reason: StoppedError) => void;
  log: Log;
  warn: (message: string) => void;
  /** For how long after the start the API may still write its own state over ours. */
  settleMs?: number;
}

const ERROR_MESSAGE_CHARS = 1_000;

const STATE = z.object({
  status: z.string(),
  started_at: z.string().nullable(),
  total_images: z.number().nullable(),
  processed_images: z.number().nullable(),
  embedding_model_id: z.string().nullable(),
});
type State = z.infer<typeof STATE>;

/**
 * Marks the job `running` and keeps its row up to date: src/job/held-row.ts has what holds of it.
 * @throws StoppedError `cancelled` when the page has cancelled the job already.
 */
export async function openJobRow({ jobId, progress, ...options }: JobRowOptions): Promise<JobRow> {
  let first: State | undefined;
  let before: Shown = { total_images: 0, processed_images: 0 };
  const row = await holdRow({
    ...options,
    table: 'embedding_jobs',
    id: jobId,
    schema: STATE,
    working: 'running',
    unfinished: ['pending', 'queued', 'running'],
    onFound: (found) => {
      first = found;
      before = shownBefore(found);
    },
    progress: () => shownNow(progress(), before),
  });
  return {
    embeddingModelId: first?.embedding_model_id ?? undefined,
    lease: row.lease,
    confirm: () => row.confirm(),
    leave: (signal) => row.leave(signal),
    letGo: () => row.letGo(),
    async end(status, errorMessage) {
      const now = shownNow(progress(), before);
      await row.end(status, {
        // Everything was answered: what an earlier run has done of it is in the total, and done.
        ...(status === 'completed' && { processed_images: now.total_images }),
        error_message: errorMessage === undefined ? null : storableText(errorMessage, ERROR_MESSAGE_CHARS),
      });
    },
  };
}

interface Shown {
  total_images: number;
  processed_images: number;
}

/** What a run that was cut off has shown on the page; a job that begins anew has shown nothing. */
function shownBefore(row: State | undefined): Shown {
  const resumed = row?.status === 'running';
  return {
    total_images: resumed ? (row.total_images ?? 0) : 0,
    processed_images: resumed ? (row.processed_images ?? 0) : 0,
  };
}

/**
 * What the page shows never falls, though the run after a crash may find fewer images left, or do them all again. While
 * nothing has been counted, the API's own numbers stand.
 */
function shownNow({ processed, total }: JobProgress, before: Shown): Partial<Shown> {
  if (total === undefined) return {};
  return {
    total_images: Math.max(total, before.total_images),
    processed_images: Math.max(processed, before.processed_images),
  };
}
