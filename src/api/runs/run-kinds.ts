/** What is the same and what differs between the two kinds of runs, as rows. */
export interface RunKind {
  name: RunKindName;
  table: 'embedding_jobs' | 'cls_training_runs';
  /** States of a run that has not ended. */
  unfinished: readonly string[];
  /** Columns beside those that all runs have. */
  more: readonly string[];
}

export type RunKindName = 'embedding' | 'classification';
export type EndState = 'completed' | 'failed' | 'cancelled';

/** How a row is written before it is submitted, and after. */
export const BEFORE = 'pending';
export const SUBMITTED = 'queued';
export const END_STATES: readonly EndState[] = ['completed', 'failed', 'cancelled'];

export const RUN_KINDS: Readonly<Record<RunKindName, RunKind>> = {
  embedding: {
    name: 'embedding',
    table: 'embedding_jobs',
    unfinished: [BEFORE, SUBMITTED, 'running'],
    more: ['parent_job_id', 'shard_index', 'shard_count'],
  },
  classification: {
    name: 'classification',
    table: 'cls_training_runs',
    unfinished: [BEFORE, 'preparing', SUBMITTED, 'training'],
    more: [],
  },
};
export const RUN_KIND_NAMES = Object.keys(RUN_KINDS) as RunKindName[];
