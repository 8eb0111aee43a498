import { InputError, messageOf, toHandlerError } from '../../base/errors.ts';
import type { Values } from '../../job/known-columns.ts';
import { MAX_SUBMISSION_BYTES } from '../runpod/endpoint.ts';
import type { RunKindName } from './run-kinds.ts';
import { endpointOf, type Runs } from './runs.ts';

export interface Submission {
  kind: RunKindName;
  id: string;
  input: Record<string, unknown>;
  /** Columns beside those that all runs have. */
  row: Values;
}

export interface SubmittedRun {
  /** The row's. */
  id: string;
  kind: RunKindName;
  /** Null where the run is divided: its shards have jobs. */
  runpod_job_id: string | null;
  /** Jobs that the run was divided into, and how many of them RunPod has taken; null where it is not divided. */
  shards: { count: number; submitted: number } | null;
}

/**
 * Submits the job of a row that is there, and writes RunPod's id into it.
 * @throws RunPodError where RunPod did not take it, when the row has been told.
 */
export async function submitJob(runs: Runs, { kind, id, input }: Omit<Submission, 'row'>): Promise<string> {
  const { log, policy, webhookUrl } = runs;
  const endpoint = endpointOf(runs, kind);
  const rows = runs.rows[kind];
  let runpodJobId: string;
  try {
    runpodJobId = await endpoint.submit({ input, policy, webhook: webhookUrl?.(kind, id) });
  } catch (error) {
    await rows.endUnsubmitted(id, notSubmitted(error)).catch((failure: unknown) => {
      log.error('A run that was not submitted could not be marked as failed', { run: id, error: failure });
    });
    log.warn('A run was not submitted', { run: id, error });
    throw toHandlerError(error);
  }
  const ofRun = log.child({ run: id, runpodJobId });
  ofRun.info('Run submitted', { kind });
  try {
    await rows.submitted(id, runpodJobId);
    // It may have been cancelled while nobody could know what to cancel.
    if ((await rows.find(id))?.status === 'cancelled') await endpoint.cancel(runpodJobId);
  } catch (error) {
    // The job is under way and tells its row itself; without its id it can be neither cancelled there nor looked after.
    ofRun.error("RunPod's id of a run could not be written into its row", { error });
  }
  return runpodJobId;
}

export function notSubmitted(error: unknown): string {
  return `the run was not submitted: ${messageOf(error)}`;
}

/** @throws InputError where RunPod would not take it. */
export function refuseLarge(input: Record<string, unknown>): void {
  const bytes = Buffer.byteLength(JSON.stringify(input));
  if (bytes <= MAX_SUBMISSION_BYTES) return;
  const message = `makes a job of ${bytes} bytes, above the ${MAX_SUBMISSION_BYTES} that RunPod takes; name fewer products, or choose them by dataset or filter`;
  throw new InputError([{ key: 'request', message }]);
}

export function present(row: Values): Values {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined));
}
