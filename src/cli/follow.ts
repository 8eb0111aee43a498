import { reconcile, takeWord } from '../api/runs/reconcile.ts';
import { END_STATES } from '../api/runs/run-kinds.ts';
import type { RunDetails } from '../api/runs/run-view.ts';
import { sleep } from '../flow/time.ts';
import { EXIT } from './exit-codes.ts';
import { createProgressBar } from './progress-bar.ts';
import { endText, shortId } from './run-text.ts';
import type { Terminal } from './terminal.ts';
import type { Workplace } from './workplace.ts';

const LOOK_MS = 500;
/** A worker that died writes nothing more: RunPod is asked too, at first and every so many looks. */
const LOOKS_FOR_ASKING = 10;
/** A row may say its end a moment before RunPod has the result. */
const RESULT_WAIT_MS = 5_000;

export interface FollowOptions {
  id: string;
  place: Pick<Workplace, 'runs' | 'reader'>;
  io: Terminal;
  signal: AbortSignal;
  /** Looks between two questions to RunPod; not read of a divided run, whose jobs may be many. */
  looksForAsking?: number;
  /** Said where the run is left before its end. */
  whenLeft?: string;
}

/**
 * Tells a run's progress to its end, whatever happens to its worker, and has its result kept. With JSON: a line for
 * each change. @returns the exit code. @throws HandlerError `run_not_found`.
 */
export async function followRun(options: FollowOptions): Promise<number> {
  const { id, place, io, signal, looksForAsking = LOOKS_FOR_ASKING } = options;
  const { whenLeft = `Run ${id} goes on; to end it: gpu-handlers cancel ${id}` } = options;
  const { reader } = place;
  let bar: ReturnType<typeof createProgressBar> | undefined;
  let last = '';
  try {
    for (let look = 0; ; look += 1) {
      let run = await reader.read(id, signal);
      const isAsked = look % (run.shard_count === null ? looksForAsking : LOOKS_FOR_ASKING) === 0;
      if (isAsked && !hasEnded(run)) {
        await askRunPod(place, run, signal);
        run = await reader.read(id, signal);
      }
      const isOver = hasEnded(run);
      bar ??= createProgressBar({ label: shortId(id), unit: run.progress.unit });
      if (!io.json) bar.update(run.progress);
      const text = JSON.stringify(run);
      if (io.json && !isOver && text !== last) io.result(run, '');
      last = text;
      if (isOver) {
        bar.end();
        return await tellEnd(options);
      }
      await sleep(LOOK_MS, signal);
    }
  } catch (error) {
    bar?.end();
    if (signal.aborted) io.note(whenLeft);
    throw error;
  }
}

async function tellEnd({ id, place, io, signal }: FollowOptions): Promise<number> {
  const ended = await place.reader.read(id, signal);
  await askRunPod(place, ended, signal, RESULT_WAIT_MS);
  const run = await place.reader.read(id, signal);
  io.result(run, endText(run));
  return run.status === 'completed' ? EXIT.ok : EXIT.runFailed;
}

type Place = FollowOptions['place'];

/** What RunPod says of the run goes into its row. Where it does not answer, the row is all there is. */
async function askRunPod(place: Place, run: RunDetails, signal: AbortSignal, waitMs = 0): Promise<void> {
  const { runs } = place;
  const { id, kind, runpod_job_id: jobId, shard_count: shards } = run;
  const endpoint = runs.endpoints[kind];
  if (endpoint === undefined) return;
  if (shards !== null) return askForShards(place, id, signal, waitMs);
  if (jobId === null) return;
  try {
    const job = await endpoint.settled(jobId, waitMs, signal);
    if (job !== undefined) await takeWord(runs, kind, id, job);
  } catch (error) {
    signal.throwIfAborted();
    runs.log.warn('RunPod does not say how the run is', { error });
  }
}

/** The jobs of a divided run are its shards'; its result comes behind all of theirs. */
async function askForShards(
  { runs, reader }: Place,
  id: string,
  signal: AbortSignal,
  waitMs: number,
): Promise<void> {
  for (const until = performance.now() + waitMs; ;) {
    const { failures } = await reconcile(runs, { signal });
    const isOver = failures.length > 0 || (await reader.read(id, signal)).result !== null;
    if (isOver || performance.now() >= until) return;
    await sleep(LOOK_MS, signal);
  }
}

function hasEnded({ status }: Pick<RunDetails, 'status'>): boolean {
  return END_STATES.some((state) => state === status);
}
