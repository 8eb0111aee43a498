import { messageOf, toHandlerError } from '../../base/errors.ts';
import { mapConcurrent } from '../../flow/streams.ts';
import { every, type Ticker } from '../../flow/time.ts';
import type { Endpoint, RunPodJob } from '../runpod/endpoint.ts';
import { resultOf } from './result.ts';
import { BEFORE, RUN_KIND_NAMES, type EndState, type RunKindName } from './run-kinds.ts';
import type { Run, RunEnd } from './run-rows.ts';
import type { Runs } from './runs.ts';
import { FORGOTTEN, verdictOf } from './verdict.ts';
import { resultOfWhole } from './whole-result.ts';

/** One look at all runs. */
export interface Reconciled {
  /** Runs that had not ended, and were asked for. */
  looked_at: number;
  /** Runs whose row did not say how they have ended, and now does. */
  ended: { id: string; kind: RunKindName; status: EndState; reason: string | undefined }[];
  /** Results that were kept. */
  results: number;
  /** Kinds that could not be looked at, and why: RunPod or the database did not answer. */
  failures: { kind: RunKindName; reason: string }[];
}

const ASKED_AT_ONCE = 4;
/** A run that is younger may still be on its way: between two requests of whoever submits it, or within RunPod. */
const SETTLING_MS = 60_000;
/** Nobody submits for so long: whoever wanted to has died. */
const SUBMISSION_MS = 10 * 60_000;
/** RunPod keeps a result for so long. */
const RESULT_KEPT_MS = 30 * 60_000;

export interface ReconcileOptions {
  signal?: AbortSignal;
  /** For tests: a run may be looked at as soon as it is so old. */
  settlingMs?: number;
  submissionMs?: number;
}

/**
 * Gives every run that has ended, without its row saying so, its true end: workers that died, jobs that timed out, were
 * cancelled, purged or forgotten. Never takes back a state that ends a run. Keeps results that nobody has kept.
 * Only runs that were submitted from here are ended because RunPod does not know them: another program's may be
 * another endpoint's.
 */
export async function reconcile(runs: Runs, options: ReconcileOptions = {}): Promise<Reconciled> {
  const done: Reconciled = { looked_at: 0, ended: [], results: 0, failures: [] };
  for (const kind of RUN_KIND_NAMES) {
    const endpoint = runs.endpoints[kind];
    if (endpoint === undefined) continue;
    try {
      await reconcileKind({ runs, kind, endpoint, options, done });
    } catch (error) {
      options.signal?.throwIfAborted();
      done.failures.push({ kind, reason: messageOf(error) });
      runs.log.warn('Runs could not be looked after', { kind, error: toHandlerError(error) });
    }
  }
  return done;
}

/** Does so again and again. Never rejects. */
export function keepReconciling(runs: Runs, intervalMs: number): Ticker {
  const stop = new AbortController();
  const ticker = every(
    intervalMs,
    async () => {
      await reconcile(runs, { signal: stop.signal });
    },
    () => undefined,
  );
  return {
    stop: async () => {
      stop.abort();
      await ticker.stop();
    },
  };
}

interface Pass {
  runs: Runs;
  kind: RunKindName;
  endpoint: Endpoint;
  options: ReconcileOptions;
  done: Reconciled;
}

async function reconcileKind(pass: Pass): Promise<void> {
  const { runs, kind, endpoint, options, done } = pass;
  const { signal } = options;
  const rows = runs.rows[kind];
  for await (const page of rows.unfinished(signal)) {
    await drain(mapConcurrent(page, ASKED_AT_ONCE, (run) => lookAt(pass, run), { signal }));
  }
  const since = new Date(Date.now() - RESULT_KEPT_MS);
  const ended = { endpointId: endpoint.id, since };
  for await (const page of rows.withoutResult(ended, signal)) {
    const keep = async (run: Run): Promise<null> => {
      const job = await endpoint.status(run.runpod_job_id ?? '', signal);
      // A row says its end a moment before its job has ended: what the job gives until then is progress.
      const isOver = job !== undefined && verdictOf(kind, job) !== undefined;
      if (isOver && (await keepResult(runs, kind, run, job))) done.results += 1;
      return null;
    };
    await drain(mapConcurrent(page, ASKED_AT_ONCE, keep, { signal }));
  }
  // Behind those of their shards.
  for await (const page of rows.withoutResult({ ...ended, wholes: true }, signal)) {
    for (const run of page) {
      const job = await resultOfWhole(runs, run, RESULT_KEPT_MS / 2);
      if (job !== undefined && (await keepResult(runs, kind, run, job))) done.results += 1;
    }
  }
}

async function lookAt({ runs, kind, endpoint, options, done }: Pass, run: Run): Promise<null> {
  const { settlingMs = SETTLING_MS, submissionMs = SUBMISSION_MS, signal } = options;
  const ageMs = Date.now() - Date.parse(run.created_at);
  const isOurs = run.runpod_endpoint_id === endpoint.id;
  if (run.shard_count != null) {
    if (isOurs && ageMs >= submissionMs) await lookAtWhole({ runs, kind, endpoint, options, done }, run);
    return null;
  }
  if (run.runpod_job_id === null) {
    if (!isOurs || ageMs < submissionMs) return null;
    const reason = 'the run was never submitted: whoever wanted to submit it has ended before';
    if (await runs.rows[kind].endUnsubmitted(run.id, reason))
      done.ended.push({ id: run.id, kind, status: 'failed', reason });
    return null;
  }
  done.looked_at += 1;
  const job = await endpoint.status(run.runpod_job_id, signal);
  if (job !== undefined) {
    const end = verdictOf(kind, job);
    if (end !== undefined && (await endRun(runs, kind, run, end)))
      done.ended.push({ id: run.id, kind, status: end.state, reason: end.error });
    if (end !== undefined && (await keepResult(runs, kind, run, job))) done.results += 1;
    return null;
  }
  if (!isOurs || ageMs < settlingMs) return null;
  // An endpoint that is not there knows no job either.
  await endpoint.health(signal);
  if (await endRun(runs, kind, run, FORGOTTEN))
    done.ended.push({ id: run.id, kind, status: FORGOTTEN.state, reason: FORGOTTEN.error });
  return null;
}

/** The database keeps it from its shards, as long as they are there. */
async function lookAtWhole({ runs, kind, options, done }: Pass, run: Run): Promise<void> {
  for await (const page of runs.rows[kind].shardsOf(run.id, options.signal)) if (page.length > 0) return;
  const end: RunEnd = {
    state: 'failed',
    error: 'the run was never divided: whoever wanted to submit it has ended before',
  };
  if (await endRun(runs, kind, run, end))
    done.ended.push({ id: run.id, kind, status: end.state, reason: end.error });
}

/**
 * What RunPod tells of a run, asked or unasked, taken to its row. A job that is not the run's, or not any more, is
 * nothing to it.
 */
export async function takeWord(
  runs: Runs,
  kind: RunKindName,
  id: string,
  job: RunPodJob,
): Promise<'taken' | 'not this run'> {
  const run = await runs.rows[kind].find(id);
  if (run === undefined) return 'not this run';
  // A job of it that nobody has touched yet has no id in the row, and is looked at later.
  const isIts = run.runpod_job_id === null ? run.status !== BEFORE : run.runpod_job_id === job.id;
  if (!isIts) return 'not this run';
  const end = verdictOf(kind, job);
  if (end === undefined) return 'taken';
  await endRun(runs, kind, run, end);
  await keepResult(runs, kind, run, job);
  return 'taken';
}

async function endRun(runs: Runs, kind: RunKindName, run: Run, end: RunEnd): Promise<boolean> {
  const changed = await runs.rows[kind].end(run, end);
  if (changed) {
    const { state, error: reason } = end;
    runs.log.info('A run was given its end', { kind, run: run.id, status: state, reason });
  }
  return changed;
}

async function keepResult(runs: Runs, kind: RunKindName, run: Run, job: RunPodJob): Promise<boolean> {
  const { id } = run;
  const kept = await runs.rows[kind].keepResult(run, resultOf(job));
  const part = run.parent_job_id != null ? 'shard' : run.shard_count != null ? 'whole' : undefined;
  if (kept) await runs.onResult?.({ kind, id, part }, job);
  return kept;
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}
