import { randomUUID } from 'node:crypto';

import { createLog } from '../../../src/base/log.ts';
import { EXTRACTION_REQUESTS, planExtraction, type ExtractionPlan } from '../../../src/api/index.ts';
import { openRuns, type Runs, type RunsOptions } from '../../../src/api/runs/runs.ts';
import type { RunKindName } from '../../../src/api/runs/run-kinds.ts';
import type { TestSupabase } from '../supabase.ts';
import { everything } from './requests.ts';

/** A row of either table, as it is. */
export async function rowOf(supabase: TestSupabase, id: string): Promise<Record<string, unknown>> {
  for (const table of ['embedding_jobs', 'cls_training_runs']) {
    const [row] = await supabase.sql(`select * from ${table} where id = $1`, [id]);
    if (row !== undefined) return row;
  }
  throw new TypeError(`there is no run ${id}`);
}

export interface TestRuns extends Runs {
  /** Everything that was logged. */
  logged(): string;
}

export function testRuns(
  supabase: Pick<TestSupabase, 'database'>,
  endpoints: RunsOptions['endpoints'],
  options: Partial<RunsOptions> = {},
): TestRuns {
  let text = '';
  const log = createLog({ level: 'debug', write: (line) => (text += line) });
  const { database } = supabase;
  return { ...openRuns({ database, endpoints, log, ...options }), logged: () => text };
}

/** A plan that no store was asked about. */
export function matchingPlan(body: Record<string, unknown> = {}): Promise<ExtractionPlan> {
  const model = { model_type: 'demo', embedding_dim: 48 };
  return planExtraction(EXTRACTION_REQUESTS.matching.parse({ model, ...body }), { lookup: everything() });
}

export interface RowColumns {
  status?: string;
  runpod_job_id?: string | null;
  runpod_endpoint_id?: string | null;
  /** Seconds. */
  age?: number;
}

/** A run's row, written by nobody's submission. */
export async function addRun(
  supabase: TestSupabase,
  kind: RunKindName,
  { status = 'queued', runpod_job_id = null, runpod_endpoint_id = 'scripted', age = 3_600 }: RowColumns = {},
): Promise<string> {
  const id = randomUUID();
  const common = [id, status, runpod_job_id, runpod_endpoint_id, age];
  if (kind === 'embedding') {
    await supabase.sql(
      `insert into embedding_jobs (id, status, runpod_job_id, runpod_endpoint_id, created_at)
       values ($1, $2, $3, $4, now() - $5 * interval '1 second')`,
      common,
    );
    return id;
  }
  const dataset = randomUUID();
  await supabase.sql(`insert into cls_datasets (id, name) values ($1, 'any')`, [dataset]);
  await supabase.sql(
    `insert into cls_training_runs (id, status, runpod_job_id, runpod_endpoint_id, created_at, name, dataset_id,
       task_type, num_classes, model_type, model_size, config, total_epochs)
     values ($1, $2, $3, $4, now() - $5 * interval '1 second', 'any', $6, 'single_label', 2, 'vit', 'base', '{}', 3)`,
    [...common, dataset],
  );
  return id;
}
