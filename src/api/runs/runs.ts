import { HandlerError, SettingsError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Database } from '../../supabase/database.ts';
import type { InputCredentials } from '../plan/plan-extraction.ts';
import type { Endpoint, RunPodJob } from '../runpod/endpoint.ts';
import { RUN_KIND_NAMES, RUN_KINDS, type RunKindName } from './run-kinds.ts';
import { openRunRows, type Run, type RunRows } from './run-rows.ts';

/** How long a run may take, from its worker's start and from its submission; in milliseconds. */
export interface RunPolicy {
  executionTimeout: number;
  ttl: number;
}

export interface EndedRun {
  kind: RunKindName;
  id: string;
  /** A shard of a run, or a run that was divided and whose shards have done it. */
  part: 'shard' | 'whole' | undefined;
}

export interface RunsOptions {
  database: Database;
  /** Where runs of a kind are submitted to. */
  endpoints: Readonly<Partial<Record<RunKindName, Endpoint>>>;
  /** The address that RunPod is to tell a run's end. */
  webhookUrl?: ((kind: RunKindName, id: string) => string) | undefined;
  /** Put into the jobs' inputs; absent: the endpoint's environment has them. */
  credentials?: InputCredentials | undefined;
  policy?: RunPolicy | undefined;
  /** Told once of each run whose result has come, by whoever was first to see it: of shards, and of their whole too. */
  onResult?: ((run: EndedRun, job: RunPodJob) => Promise<void> | void) | undefined;
  log: Log;
}

/** What the functions of this folder work with. Holds nothing open. */
export interface Runs extends Omit<RunsOptions, 'policy'> {
  rows: Readonly<Record<RunKindName, RunRows>>;
  policy: RunPolicy;
}

const HOUR_MS = 3_600_000;
/** A day for what a GPU does in minutes or hours; RunPod's own default, ten minutes, ends every larger job. */
const EXECUTION_TIMEOUT_MS = 24 * HOUR_MS;
/** And a day to wait for a worker. */
const QUEUE_MS = 24 * HOUR_MS;
/** The most that RunPod takes for both. */
const MAX_MS = 7 * 24 * HOUR_MS;

/** A run's time as RunPod takes it: how long it may run, and with the time that it may wait. */
export function runPolicy(executionTimeoutMs: number = EXECUTION_TIMEOUT_MS): RunPolicy {
  const executionTimeout = Math.min(executionTimeoutMs, MAX_MS);
  return { executionTimeout, ttl: Math.min(executionTimeout + QUEUE_MS, MAX_MS) };
}

export function openRuns(options: RunsOptions): Runs {
  const { database, log } = options;
  const warn = (message: string): void => log.warn(message);
  const rowsOf = (name: RunKindName): RunRows => openRunRows({ database, kind: RUN_KINDS[name], warn });
  const rows = { embedding: rowsOf('embedding'), classification: rowsOf('classification') };
  return { ...options, rows, policy: options.policy ?? runPolicy() };
}

/** @throws SettingsError that names the variable. */
export function endpointOf({ endpoints }: Runs, kind: RunKindName): Endpoint {
  const endpoint = endpoints[kind];
  if (endpoint !== undefined) return endpoint;
  throw new SettingsError(`${VARIABLES[kind]} is not set: there is no endpoint for such runs`);
}

const VARIABLES: Readonly<Record<RunKindName, string>> = {
  embedding: 'RUNPOD_ENDPOINT_EMBEDDING (with RUNPOD_API_KEY)',
  classification: 'RUNPOD_ENDPOINT_CLS_TRAINING (with RUNPOD_API_KEY)',
};

/** A run of either kind, by its id. @throws HandlerError `run_not_found`. */
export async function findRun(
  { rows }: Pick<Runs, 'rows'>,
  id: string,
  signal?: AbortSignal,
): Promise<{ kind: RunKindName; run: Run }> {
  const found = await Promise.all(
    RUN_KIND_NAMES.map(async (kind) => ({ kind, run: await rows[kind].find(id, signal) })),
  );
  for (const { kind, run } of found) if (run !== undefined) return { kind, run };
  throw new HandlerError('run_not_found', `there is no run ${id}`);
}
